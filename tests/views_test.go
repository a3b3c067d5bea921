package tests

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/projections"
)

// wantViewsAsFromAFreshFold lets the views in the directory catch up, folds the log into new ones, and compares
// every row of every table.
func (v *vault) wantViewsAsFromAFreshFold() {
	v.t.Helper()
	fresh := filepath.Join(v.t.TempDir(), "views.db")
	v.fold(v.path("views.db"))
	v.fold(fresh)
	was, is := dumpOf(v.t, fresh), dumpOf(v.t, v.path("views.db"))
	if len(was) < 10 || !slices.Equal(slices.Sorted(maps.Keys(was)), slices.Sorted(maps.Keys(is))) {
		v.t.Errorf("the tables are %q, and %q after a fresh fold", slices.Sorted(maps.Keys(is)), slices.Sorted(maps.Keys(was)))
	}
	for table, rows := range was {
		if len(rows) != len(is[table]) {
			v.t.Errorf("table %s has %d rows, a fresh fold %d", table, len(is[table]), len(rows))
		}
		for i := range min(len(rows), len(is[table])) {
			if rows[i] != is[table][i] {
				v.t.Errorf("table %s differs:\n%s\na fresh fold:\n%s", table, is[table][i], rows[i])
				break
			}
		}
	}
}

// fold folds all of the log into the views of a file, and wants them to digest it.
func (v *vault) fold(file string) {
	v.t.Helper()
	views, err := projections.Open(v.t.Context(), file, projections.Options{})
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() {
		if err := views.Close(); err != nil {
			v.t.Error(err)
		}
	}()
	ctx, stop := context.WithCancel(bounded(v.t))
	ran := make(chan error, 1)
	go func() { ran <- views.Run(ctx, v.log, v.codec.Views()) }()
	head, err := v.log.Head(ctx)
	if err == nil {
		err = views.Wait(ctx, head)
	}
	if err != nil {
		v.t.Errorf("fold %s: %v", file, err)
	}
	list, err := views.List(ctx)
	if err != nil {
		v.t.Error(err)
	}
	for _, one := range list {
		if len(one.Parked) > 0 {
			v.t.Errorf("view %s could not digest %+v", one.Name, one.Parked)
		}
	}
	stop()
	if err := <-ran; err != nil {
		v.t.Error(err)
	}
}

// spelt says which columns hold numbers of texts, which depend on the order in which they were first met: how to
// write them out.
var spelt = map[string]string{
	"device":         name(0),
	"channel":        name(2),
	"area":           name(4),
	"key":            name(5),
	"timeline.type":  name(1),
	"commands.type":  name(3),
	"object":         "(SELECT hash FROM fact_values WHERE id = object)",
	"actor":          "(SELECT kind || '/' || ident || '/' || name || '/' || role FROM actors WHERE id = actor)",
	"fact_values.id": "''", "actors.id": "''", "names.id": "''",
	"checkpoints.rebuild": "''", // tells of views that were dropped, not of the log
}

func name(vocabulary int) string {
	return fmt.Sprintf("COALESCE((SELECT text FROM names WHERE vocabulary = %d AND id = %%[1]s), %%[1]s)", vocabulary)
}

// dumpOf returns the rows of every table of a file, sorted.
func dumpOf(t *testing.T, file string) map[string][]string {
	t.Helper()
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	all := map[string][]string{}
	for _, table := range texts(t, conn, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'") {
		var columns []string
		for _, column := range texts(t, conn, "SELECT name FROM pragma_table_info('"+table+"')") {
			how, known := spelt[table+"."+column]
			if !known {
				how, known = spelt[column]
			}
			switch {
			case !known:
				how = column
			case strings.Contains(how, "%[1]s"):
				how = fmt.Sprintf(how, table+"."+column)
			}
			columns = append(columns, "quote("+how+")")
		}
		rows := texts(t, conn, "SELECT "+strings.Join(columns, " || '|' || ")+" FROM "+table)
		slices.Sort(rows)
		all[table] = rows
	}
	return all
}

func texts(t *testing.T, conn *sqlite.Conn, query string) (all []string) {
	t.Helper()
	err := sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error {
		all = append(all, row.ColumnText(0))
		return nil
	}})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return all
}

package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// An edition is one file of views: their tables, whoever writes them, and those who read them. Views serves one
// edition; a rebuild makes the next one beside it.
type edition struct {
	file    string // itself, not a link to it
	views   []view
	logger  *slog.Logger
	readers *sqlitex.Pool
	kept    sync.Map       // *sqlite.Conn -> *sqliteTx of the readers
	using   sync.WaitGroup // reads under way

	folding  sync.Mutex // held while a transaction is written, or the file compacted or closed
	writer   *sqliteTx
	names    *names
	folders  []*folding
	folded   int      // events, since it was opened
	deferred []string // statements that make the indexes which a rebuild leaves for the end

	stale []string // views that another version of their fold has written
	unfit bool     // some of them cannot be read by today's queries
}

// form is the version of the tables that all views share. A file of another form is not read.
const form = 1

// openEdition opens a file for writing, and makes in it what is missing. Readers come later.
func openEdition(ctx context.Context, file string, o Options, flags sqlite.OpenFlags, settings ...string) (*edition, error) {
	conn, err := sqlite.OpenConn(file, flags)
	if err != nil {
		return nil, err
	}
	e := &edition{file: file, views: o.views, logger: o.Logger, writer: newSQLiteTx(conn)}
	e.names = newNames(e.writer)
	if err = pragmas(conn, settings...); err == nil {
		err = e.makeTables(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, e.writer.close())
	}
	return e, nil
}

func pragmas(conn *sqlite.Conn, settings ...string) error {
	for _, s := range settings {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+s, nil); err != nil {
			return err
		}
	}
	return nil
}

// makeTables makes the tables of a new file. Those of a file that is not new are left as they are.
func (e *edition) makeTables(ctx context.Context) (err error) {
	e.writer.conn.SetInterrupt(ctx.Done())
	defer e.writer.conn.SetInterrupt(nil)
	if err := e.writer.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() { err = e.end(err) }()
	var tables, version int64
	for query, column := range map[string]*int64{
		`SELECT COUNT(*) FROM sqlite_master WHERE name = 'checkpoints'`: &tables, `PRAGMA user_version`: &version,
	} {
		if _, err := onerow(e.writer, query, nil, column); err != nil {
			return err
		}
	}
	switch {
	case tables == 0:
		err = e.begin()
	case version != form:
		e.unfit = true
		for _, one := range e.views {
			e.stale = append(e.stale, one.name)
		}
		return nil
	}
	if err == nil {
		err = errors.Join(e.noteOpened(), e.compareVersions())
	}
	if err != nil {
		return err
	}
	return e.restore()
}

// begin makes all tables in an empty file.
func (e *edition) begin() error {
	if err := e.script(namesSQL); err != nil {
		return err
	}
	for i, name := range hotTypes() {
		if err := e.writer.Exec(`INSERT INTO names (vocabulary, id, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			int64(types), i+1, name); err != nil {
			return err
		}
	}
	for _, one := range e.views {
		if err := e.makeView(one, one.schema); err != nil {
			return fmt.Errorf("view %s: %w", one.name, err)
		}
	}
	return e.writer.Exec(fmt.Sprintf("PRAGMA user_version = %d", form))
}

// makeView makes a view's tables anew, empty.
func (e *edition) makeView(one view, schema string) error {
	for _, table := range one.tables {
		if err := e.writer.Exec("DROP TABLE IF EXISTS " + table); err != nil {
			return err
		}
	}
	if err := e.script(schema); err != nil {
		return err
	}
	if err := e.writer.Exec(`DELETE FROM parked WHERE view = ?`, one.name); err != nil {
		return err
	}
	return e.writer.Exec(`INSERT INTO checkpoints (view, version, position, time) VALUES (?, ?, 0, 0)
		ON CONFLICT (view) DO UPDATE SET version = excluded.version, position = 0, time = 0`, one.name, one.version)
}

// compareVersions finds the views that another version of their fold has written, and makes those that are new to the
// file: until they are rebuilt they tell of what comes from now on.
func (e *edition) compareVersions() error {
	var position, time int64
	if _, err := onerow(e.writer, `SELECT position, time FROM checkpoints ORDER BY position LIMIT 1`, nil, &position, &time); err != nil {
		return err
	}
	for _, one := range e.views {
		var version int64
		found, err := onerow(e.writer, `SELECT version FROM checkpoints WHERE view = ?`, []any{one.name}, &version)
		if err != nil {
			return err
		}
		switch {
		case !found:
			if err := e.makeView(one, one.schema); err != nil {
				return fmt.Errorf("view %s: %w", one.name, err)
			}
			if err := e.writer.Exec(`UPDATE checkpoints SET version = 0, position = ?, time = ? WHERE view = ?`, position, time, one.name); err != nil {
				return err
			}
		case version == int64(one.version):
			continue
		case version != 0:
			e.unfit = e.unfit || version < int64(max(one.reads, 1)) || version > int64(one.version)
			if err := e.addTables(one); err != nil {
				return fmt.Errorf("view %s: %w", one.name, err)
			}
		}
		e.stale = append(e.stale, one.name)
	}
	return nil
}

// addTables makes those tables of a stale view that its earlier version did not have: until it is rebuilt they tell of what
// comes from now on.
func (e *edition) addTables(one view) error {
	for statement := range strings.SplitSeq(one.schema, ";\n") {
		rest, is := strings.CutPrefix(uncommented(statement), "CREATE TABLE ")
		if !is {
			continue
		}
		name, _, _ := strings.Cut(rest, " ")
		var n int64
		if _, err := onerow(e.writer, `SELECT COUNT(*) FROM sqlite_master WHERE name = ?`, []any{name}, &n); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		if err := e.writer.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// script runs the statements of a file of SQL, which are separated by semicolons.
func (e *edition) script(text string) error {
	for statement := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if err := e.writer.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// end commits the writer's transaction, or rolls it back if err is not nil.
func (e *edition) end(err error) error {
	if err == nil {
		if err = e.writer.Exec("COMMIT"); err == nil {
			return nil
		}
	}
	e.writer.conn.SetInterrupt(nil)
	if !e.writer.conn.AutocommitEnabled() {
		err = errors.Join(err, e.writer.Exec("ROLLBACK"))
	}
	e.forget()
	return err
}

func (e *edition) forget() {
	e.names.forget()
	for _, f := range e.folders {
		f.forget()
	}
}

// openReaders lets readers in.
func (e *edition) openReaders(o Options) (err error) {
	e.readers, err = sqlitex.NewPool(e.file, sqlitex.PoolOptions{
		Flags: sqlite.OpenReadWrite | sqlite.OpenWAL, PoolSize: o.Readers,
		PrepareConn: func(c *sqlite.Conn) error {
			return pragmas(c, "query_only=ON", fmt.Sprintf("cache_size=-%d", max(o.CacheSize/2>>10/o.Readers, 256)))
		},
	})
	return err
}

// read answers from one consistent state of all views.
func (e *edition) read(ctx context.Context, ask func(Tx) error) error {
	conn, err := e.readers.Take(ctx)
	if err != nil {
		return fmt.Errorf("read the views: %w", err)
	}
	defer e.readers.Put(conn)
	kept, _ := e.kept.LoadOrStore(conn, newSQLiteTx(conn))
	tx := kept.(*sqliteTx)
	if len(tx.kept) > maxPrepared {
		tx.forget()
	}
	if err := tx.Exec("BEGIN"); err != nil {
		return fmt.Errorf("read the views: %w", err)
	}
	err = ask(tx)
	conn.SetInterrupt(nil)
	if endErr := tx.Exec("ROLLBACK"); err == nil && endErr != nil {
		err = fmt.Errorf("read the views: %w", endErr)
	}
	return err
}

// close waits for those who read, and closes the file.
func (e *edition) close() error {
	e.using.Wait()
	e.folding.Lock()
	defer e.folding.Unlock()
	var err error
	if e.readers != nil {
		e.kept.Range(func(_, tx any) bool {
			tx.(*sqliteTx).forget()
			return true
		})
		err = e.readers.Close()
	}
	if e.writer != nil {
		err = errors.Join(err, e.writer.close())
	}
	return err
}

// slowest returns the position that all views have reached.
func (e *edition) slowest() int64 {
	if len(e.folders) == 0 {
		return 0
	}
	return slices.MinFunc(e.folders, func(a, b *folding) int { return int(a.position - b.position) }).position
}

// furthest returns the position that some view has reached.
func (e *edition) furthest() eventstore.Position {
	furthest := int64(0)
	for _, f := range e.folders {
		furthest = max(furthest, f.position)
	}
	return eventstore.Position(furthest)
}

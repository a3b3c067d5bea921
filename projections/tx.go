package projections

import (
	"fmt"

	"zombiezen.com/go/sqlite"
)

// A Tx is what views read and write through: the writer's open transaction, or a reader's. Queries are SQL that
// SQLite and PostgreSQL both know, with ? for each argument: an int64, int, string, bool or nil.
//
// A query's text is prepared once and kept, so it must come from a bounded set.
type Tx interface {
	Exec(query string, args ...any) error
	// Query calls each for every row. Within each, the same query must not be asked again.
	Query(query string, args []any, each func(Row) error) error
}

// A Row is one row of an answer, its columns counted from 0. Null reads as 0, "" and false.
type Row interface {
	Int(column int) int64
	Text(column int) string
	Null(column int) bool
}

// A sqliteTx speaks to one SQLite connection.
type sqliteTx struct {
	conn *sqlite.Conn
	kept map[string]*sqlite.Stmt
}

func newSQLiteTx(conn *sqlite.Conn) *sqliteTx {
	return &sqliteTx{conn, map[string]*sqlite.Stmt{}}
}

func (tx *sqliteTx) Exec(query string, args ...any) error {
	return tx.Query(query, args, nil)
}

func (tx *sqliteTx) Query(query string, args []any, each func(Row) error) (err error) {
	stmt, err := tx.prepare(query)
	if err != nil {
		return err
	}
	defer func() {
		if resetErr := stmt.Reset(); err == nil && resetErr != nil {
			err = resetErr
		}
	}()
	for i, arg := range args {
		bind(stmt, i+1, arg)
	}
	for {
		more, err := stmt.Step()
		if err != nil || !more {
			return err
		}
		if each != nil {
			if err := each(sqliteRow{stmt}); err != nil {
				return err
			}
		}
	}
}

func (tx *sqliteTx) prepare(query string) (*sqlite.Stmt, error) {
	if stmt := tx.kept[query]; stmt != nil {
		return stmt, nil
	}
	stmt, trailing, err := tx.conn.PrepareTransient(query)
	if err == nil && trailing > 0 {
		err = fmt.Errorf("more than one statement")
	}
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	tx.kept[query] = stmt
	return stmt, nil
}

// maxPrepared is the most statements that a reader keeps: filters make many different ones.
const maxPrepared = 160

// forget ends the statements that are kept, none of which may be in use.
func (tx *sqliteTx) forget() {
	for _, stmt := range tx.kept {
		_ = stmt.Finalize() // repeats the error of its last step
	}
	clear(tx.kept)
}

// close ends the connection and its statements.
func (tx *sqliteTx) close() error {
	tx.forget()
	return tx.conn.Close()
}

func bind(stmt *sqlite.Stmt, param int, arg any) {
	switch arg := arg.(type) {
	case int64:
		stmt.BindInt64(param, arg)
	case string:
		stmt.BindText(param, arg)
	case nil:
		stmt.BindNull(param)
	case int:
		stmt.BindInt64(param, int64(arg))
	case bool:
		stmt.BindBool(param, arg)
	default:
		panic(fmt.Sprintf("no column holds a %T", arg))
	}
}

type sqliteRow struct{ stmt *sqlite.Stmt }

func (r sqliteRow) Int(column int) int64   { return r.stmt.ColumnInt64(column) }
func (r sqliteRow) Text(column int) string { return r.stmt.ColumnText(column) }
func (r sqliteRow) Null(column int) bool   { return r.stmt.ColumnIsNull(column) }

// one asks a query for its first row and reports whether there is one.
func one(tx Tx, query string, args []any, read func(Row)) (found bool, err error) {
	err = tx.Query(query, args, func(r Row) error {
		if !found {
			read(r)
		}
		found = true
		return nil
	})
	return found, err
}

// orNull is n, or NULL if it is zero.
func orNull(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// textOrNull is s, or NULL if it is empty.
func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// onerow reads the first row's numbers into columns and reports whether there is a row.
func onerow(tx Tx, query string, args []any, columns ...*int64) (bool, error) {
	return one(tx, query, args, func(r Row) {
		for i, column := range columns {
			*column = r.Int(i)
		}
	})
}

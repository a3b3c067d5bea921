package projections

import (
	"context"
	"errors"
	"fmt"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// OpenReadOnly opens views for reading, while another process may write them. It makes nothing, takes no lock and
// disturbs nobody; Standing says how far they have come. After the other process has rebuilt them they tell what was so
// before: see Moved. ErrBuilding: another version of the program has written them.
func OpenReadOnly(ctx context.Context, path string, o Options) (*Views, error) {
	o.fill()
	o.Readers = 1 // whose connection, once it has read, has all files that it needs, even if their names are gone
	v := &Views{options: o, path: path, writing: make(chan struct{}, 1), passed: make(chan struct{}), hurry: make(chan struct{}, 1)}
	v.writing <- struct{}{} // nobody ever may
	for range 3 {           // they may be rebuilt just now
		file, err := fileOf(path)
		if err != nil {
			return nil, fmt.Errorf("read the views: %w", err)
		}
		if v.edition, err = readEdition(ctx, file, o); err != nil {
			return nil, fmt.Errorf("read the views: %w", err)
		}
		if _, err = os.Stat(file); err == nil { // their file is there still: so its write-ahead log was
			return v, nil
		}
		if err := v.edition.close(); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("read the views: they are rebuilt again and again")
}

// fileOf returns the file that is known by a name, and changes nothing.
func fileOf(path string) (string, error) {
	file, err := linked(path)
	if err == nil {
		_, err = os.Stat(file)
	}
	return file, err
}

func readEdition(ctx context.Context, file string, o Options) (*edition, error) {
	readers, err := sqlitex.NewPool(file, sqlitex.PoolOptions{
		Flags: sqlite.OpenReadOnly, PoolSize: o.Readers,
		PrepareConn: func(c *sqlite.Conn) error {
			return pragmas(c, fmt.Sprintf("cache_size=-%d", max(o.CacheSize/2>>10/o.Readers, 256)))
		},
	})
	if err != nil {
		return nil, err
	}
	e := &edition{file: file, views: o.views, logger: o.Logger, readers: readers}
	if err := e.read(ctx, e.sameVersions); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// sameVersions refuses what another version of the program has written.
func (e *edition) sameVersions(tx Tx) error {
	var tables, written int64
	for query, column := range map[string]*int64{
		`SELECT COUNT(*) FROM sqlite_master WHERE name = 'checkpoints'`: &tables, `PRAGMA user_version`: &written,
	} {
		if _, err := onerow(tx, query, nil, column); err != nil {
			return err
		}
	}
	if tables == 0 || written != form {
		return ErrBuilding
	}
	for _, one := range e.views {
		var version int64
		found, err := onerow(tx, `SELECT version FROM checkpoints WHERE view = ?`, []any{one.name}, &version)
		if err != nil {
			return err
		}
		if !found || version != int64(one.version) {
			return ErrBuilding
		}
	}
	return nil
}

// Standing returns the position that all views on disk have reached.
func (v *Views) Standing(ctx context.Context) (at eventstore.Position, err error) {
	err = v.read(ctx, func(tx Tx) error {
		var position int64
		_, err := onerow(tx, `SELECT MIN(position) FROM checkpoints`, nil, &position)
		at = eventstore.Position(position)
		return err
	})
	return at, err
}

// Moved reports whether another edition has taken the place of the one that was opened.
func (v *Views) Moved() bool {
	file, err := fileOf(v.path)
	return err != nil || file != v.edition.file
}

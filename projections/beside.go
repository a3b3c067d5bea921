package projections

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// bulkBatch is the most events that are folded in one transaction while nobody reads.
const bulkBatch = 4096

// unread are the settings of a file that nobody reads yet and that may be lost: it is made durable as a whole at the end.
// Only a transaction that fails needs its journal, so that stays in memory.
var unread = []string{"journal_mode=MEMORY", "synchronous=OFF", "locking_mode=EXCLUSIVE", "temp_store=MEMORY"}

// makeBeside makes the file in which views are built anew: an empty one for all of them, otherwise a copy of what is
// served, in which only these are empty.
func (v *Views) makeBeside(ctx context.Context, names []string) (*edition, error) {
	file, err := nextFile(v.path)
	if err == nil {
		err = Remove(file)
	}
	some := len(names) < len(v.options.views)
	if err == nil && some {
		err = v.copyTo(ctx, file)
	}
	if err == nil {
		err = touch(file)
	}
	if err != nil {
		return nil, errors.Join(err, Remove(file))
	}
	e, err := openEdition(ctx, file, v.options, sqlite.OpenReadWrite|sqlite.OpenCreate, append(slices.Clip(unread), fmt.Sprintf("cache_size=-%d", bulkCache>>10))...)
	if err != nil {
		return nil, errors.Join(err, Remove(file))
	}
	if err := e.empty(names, some); err != nil {
		return nil, errors.Join(err, e.close(), Remove(file))
	}
	return e, nil
}

// bulkCache is the page cache of a rebuild, in bytes.
const bulkCache = 64 << 20

// copyTo copies the edition that is served, as of one moment.
func (v *Views) copyTo(ctx context.Context, file string) error {
	e, err := v.lend()
	if err != nil {
		return err
	}
	defer e.using.Done()
	from, err := sqlite.OpenConn(e.file, sqlite.OpenReadOnly)
	if err != nil {
		return err
	}
	from.SetInterrupt(ctx.Done())
	return errors.Join(copyPages(from, file), from.Close())
}

// copyPages copies a database page by page.
func copyPages(from *sqlite.Conn, file string) error {
	if err := touch(file); err != nil {
		return err
	}
	to, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	if err := pragmas(to, unread...); err != nil {
		return errors.Join(err, to.Close())
	}
	b, err := sqlite.NewBackup(to, "main", from, "main")
	if err == nil {
		_, err = b.Step(-1) // all at once: as of one moment
		err = errors.Join(err, b.Close())
	}
	if err == nil { // the copy says of itself that it has a write-ahead log, as what it is a copy of does
		err = pragmas(to, "journal_mode=MEMORY")
	}
	return errors.Join(err, to.Close())
}

// empty makes the tables of these views anew, without the indexes that can wait until the end.
func (e *edition) empty(names []string, some bool) error {
	return e.transact(func() error {
		if some { // who was given up is folded again
			if err := e.writer.Exec(`DELETE FROM presumed`); err != nil {
				return err
			}
		}
		for _, one := range e.views {
			if !slices.Contains(names, one.name) {
				continue
			}
			now, later := split(one.schema)
			if err := e.makeView(one, now); err != nil {
				return fmt.Errorf("view %s: %w", one.name, err)
			}
			e.deferred = append(e.deferred, later...)
		}
		e.stale, e.unfit = nil, false
		return e.restore()
	})
}

// split parts a file of SQL into what is needed from the first row on, and indexes that only readers need.
func split(schema string) (now string, later []string) {
	var first []string
	for statement := range strings.SplitSeq(schema, ";\n") {
		if name, is := strings.CutPrefix(uncommented(statement), "CREATE INDEX "); is && !strings.HasPrefix(name, "commands_uuid ") {
			later = append(later, statement)
		} else {
			first = append(first, statement)
		}
	}
	return strings.Join(first, ";\n"), later
}

// uncommented is a statement without the comment before it.
func uncommented(statement string) string {
	statement = strings.TrimSpace(statement)
	for strings.HasPrefix(statement, "--") {
		_, rest, _ := strings.Cut(statement, "\n")
		statement = strings.TrimSpace(rest)
	}
	return statement
}

// makeDeferred makes the indexes that were left for later if a page erases somebody: to find what is his needs them.
func (e *edition) makeDeferred(p *page) error {
	if len(e.deferred) == 0 || !slices.ContainsFunc(p.envs, func(env eventstore.Envelope) bool { return env.Type == erasedType }) {
		return nil
	}
	return e.index()
}

func (e *edition) index() error {
	for len(e.deferred) > 0 {
		if err := e.writer.Exec(e.deferred[0]); err != nil {
			return fmt.Errorf("make an index: %w", err)
		}
		e.deferred = e.deferred[1:]
	}
	return nil
}

// settle makes the file whole and durable, and closes it; if it is not good, it is only closed.
func (e *edition) settle(good bool) error {
	var err error
	if good {
		err = e.index()
	}
	if err = errors.Join(err, e.close()); err != nil || !good {
		return err
	}
	f, err := os.OpenFile(e.file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

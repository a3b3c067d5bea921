package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// archives are the files in which a log's oldest events stand, in order. Nil is none. A file is opened when something
// in it is asked for: a server that needs nothing of what is old does without.
type archives struct {
	list  []*shelf
	names *names
}

// A shelf is one archive, as the log knows it.
type shelf struct {
	Archive
	mu     sync.Mutex // one reads at a time
	reader *reader    // nil until it is needed
}

// ErrArchiveAway says that events were asked for that stand in an archive which is not there.
var ErrArchiveAway = errors.New("an archive is not there")

// findArchives reads which archives a log has.
func findArchives(conn *sqlite.Conn, log string, known *names) (*archives, error) {
	version, err := sqlitex.ResultInt(conn.Prep("PRAGMA user_version"))
	if err != nil || version < archivedVersion {
		return nil, err
	}
	as := &archives{names: known}
	err = sqlitex.ExecuteTransient(conn, "SELECT first, last, root, file FROM archives ORDER BY first", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			one := &shelf{Archive: Archive{
				First: eventstore.Position(s.ColumnInt64(0)), Last: eventstore.Position(s.ColumnInt64(1)), File: locate(log, s.ColumnText(3)),
			}}
			s.ColumnBytes(2, one.Root[:])
			as.list = append(as.list, one)
			return nil
		},
	})
	return as, err
}

// locate returns where an archive is: where it was put, or beside the log, to where a backup may have been copied.
func locate(log, file string) string {
	beside := filepath.Join(filepath.Dir(log), filepath.Base(file))
	if !filepath.IsAbs(file) {
		return beside
	}
	if _, err := os.Stat(file); err != nil {
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	return file
}

// end returns the last position that stands in an archive, 0 if there is none.
func (as *archives) end() eventstore.Position {
	if as == nil || len(as.list) == 0 {
		return 0
	}
	return as.list[len(as.list)-1].Last
}

// all reads a page of all streams from the archive that holds the position after one. It is false if none does.
func (as *archives) all(ctx context.Context, after, head eventstore.Position) (p page, holds bool, err error) {
	if as == nil || after < 0 || after >= as.end() || after >= head {
		return page{}, false, nil
	}
	for _, s := range as.list {
		if after >= s.Last {
			continue
		}
		p, err := s.use(ctx, as.names, func(r *reader) (page, error) { return r.after(after, min(head, s.Last)) })
		if err == nil && (len(p.events) == 0 || p.events[0].Position != after+1) {
			err = fmt.Errorf("the archive %s lacks position %d", s.File, after+1)
		}
		p.end = p.end && head <= s.Last
		return p, true, err
	}
	return page{}, false, nil
}

// stream reads a page of one stream from the archive that holds a version of it.
func (as *archives) stream(ctx context.Context, stream eventstore.Stream, from int64, direction eventstore.Direction) (page, error) {
	for _, s := range as.list {
		p, err := s.use(ctx, as.names, func(r *reader) (page, error) { return r.ofStream(stream, from, direction) })
		if err != nil {
			return page{}, err
		}
		if len(p.events) > 0 && p.events[0].Version == from {
			p.end = false
			return p, nil
		}
	}
	return page{}, fmt.Errorf("version %d of %s stands neither in the log nor in its archives", from, stream)
}

// use opens the archive if nobody has, and reads from it.
func (s *shelf) use(ctx context.Context, known *names, read func(*reader) (page, error)) (page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return page{}, err
	}
	if s.reader == nil {
		if err := s.open(known); err != nil {
			return page{}, err
		}
	}
	return read(s.reader)
}

func (s *shelf) open(known *names) error {
	found, r, err := openArchive(s.File, known)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("positions %d to %d stand in the archive %s: put it back there, or beside the log: %w", s.First, s.Last, s.File, ErrArchiveAway)
	case err != nil:
		return fmt.Errorf("read the archive %s: %w", s.File, err)
	case found.First != s.First || found.Last != s.Last || found.Root != s.Root:
		return errors.Join(fmt.Errorf("%s is not the archive of positions %d to %d of this log, but another: put back the right one", s.File, s.First, s.Last), r.conn.Close())
	}
	s.reader = r
	return nil
}

func (as *archives) close() (err error) {
	if as == nil {
		return nil
	}
	for _, s := range as.list {
		s.mu.Lock()
		if s.reader != nil {
			err = errors.Join(err, s.reader.conn.Close())
			s.reader = nil
		}
		s.mu.Unlock()
	}
	return err
}

// older reads from the archives what a page of a stream lacks. The log keeps the newest event of every stream, and of
// those of which it keeps more no event after the first is missing: so what it lacks comes before what it has.
func (rs *readers) older(ctx context.Context, r *reader, live page, s eventstore.Stream, from int64, direction eventstore.Direction) (page, error) {
	if direction == eventstore.Forward {
		from = max(from, 0)
		if len(live.events) == 0 || live.events[0].Version <= from {
			return live, nil
		}
		return rs.archives.stream(ctx, s, from, direction)
	}
	if n := len(live.events); n > 0 {
		live.end = live.end && live.events[n-1].Version == 0
		return live, nil
	}
	if from < 0 {
		return live, nil
	}
	if known, err := r.ofStream(s, 0, eventstore.Forward); err != nil || len(known.events) == 0 {
		return known, err // there is no such stream
	}
	return rs.archives.stream(ctx, s, from, direction)
}

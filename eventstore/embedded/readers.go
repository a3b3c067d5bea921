package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// readers is a pool of connections that only read.
type readers struct {
	idle   chan *reader
	open   int // idle or not
	closed chan struct{}
	names  names

	archives *archives
}

func openReaders(path string, options Options) (*readers, error) {
	rs := &readers{idle: make(chan *reader, options.Readers), closed: make(chan struct{})}
	rs.names.init(options.Streams)
	for range options.Readers {
		r, err := openReader(path, &rs.names)
		if err != nil {
			return nil, errors.Join(err, rs.close())
		}
		if rs.open == 0 {
			rs.archives, err = findArchives(r.conn, path, &rs.names)
		}
		rs.idle <- r
		rs.open++
		if err != nil {
			return nil, errors.Join(fmt.Errorf("find its archives: %w", err), rs.close())
		}
	}
	return rs, nil
}

// borrow waits for a reader that nobody uses. It must be given back.
func (rs *readers) borrow(ctx context.Context) (*reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-rs.closed:
		return nil, eventstore.ErrClosed
	default:
	}
	select {
	case r := <-rs.idle:
		return r, nil
	case <-rs.closed:
		return nil, eventstore.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stream reads a page of one stream.
func (rs *readers) stream(ctx context.Context, s eventstore.Stream, from int64, direction eventstore.Direction) (page, error) {
	r, err := rs.borrow(ctx)
	if err != nil {
		return page{}, err
	}
	defer func() { rs.idle <- r }()
	live, err := r.ofStream(s, from, direction)
	if err != nil || rs.archives == nil {
		return live, err
	}
	return rs.older(ctx, r, live, s, from, direction)
}

// ofStream reads a page of one stream.
func (r *reader) ofStream(s eventstore.Stream, from int64, direction eventstore.Direction) (page, error) {
	stmt := r.forward
	if direction == eventstore.Backward {
		stmt = r.backward
	}
	stmt.BindText(1, s.ID)
	stmt.BindText(2, s.Kind)
	stmt.BindInt64(3, from)
	return r.page(stmt, pageEvents)
}

// all reads a page of all streams: after a position, up to another.
func (rs *readers) all(ctx context.Context, after, head eventstore.Position) (page, error) {
	if p, archived, err := rs.archives.all(ctx, after, head); archived || err != nil {
		return p, err
	}
	r, err := rs.borrow(ctx)
	if err != nil {
		return page{}, err
	}
	defer func() { rs.idle <- r }()
	return r.after(after, head)
}

func (rs *readers) close() (err error) {
	close(rs.closed)
	for range rs.open {
		err = errors.Join(err, (<-rs.idle).conn.Close())
	}
	return errors.Join(err, rs.archives.close())
}

// A reader is one connection. One goroutine uses it at a time.
type reader struct {
	conn                      *sqlite.Conn
	forward, backward, all    *sqlite.Stmt
	findStream, findType, who *sqlite.Stmt
	names                     *names
}

const columns = "position, stream, version, id, type, time, actor, correlation, causation, data, personal, secret, evidence"

const ofStream = "SELECT " + columns + ` FROM events
	WHERE stream = (SELECT id FROM streams WHERE name = ? AND kind = ?) AND version `

// openReader opens a file whose tables are there. What the reader reads of the hashes is prepared when it is asked for:
// a file that is just being given them has none.
func openReader(path string, n *names) (*reader, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(busy)
	r := &reader{conn: conn, names: n}
	err = sqlitex.ExecuteTransient(conn, "PRAGMA cache_size = -1000", nil)
	err = errors.Join(err, prepare(conn, map[**sqlite.Stmt]string{
		&r.forward:    ofStream + ">= ? ORDER BY version",
		&r.backward:   ofStream + "<= ? ORDER BY version DESC",
		&r.all:        "SELECT " + columns + " FROM events WHERE position > ? AND position <= ? ORDER BY position",
		&r.findStream: "SELECT kind, name FROM streams WHERE id = ?",
		&r.findType:   "SELECT name FROM types WHERE id = ?",
		&r.who:        "SELECT kind, name_id, name, role FROM actors WHERE id = ?",
	}))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return r, nil
}

// after reads a page of all streams: after a position, up to another.
func (r *reader) after(after, head eventstore.Position) (page, error) {
	r.all.BindInt64(1, int64(after))
	r.all.BindInt64(2, int64(head))
	return r.page(r.all, batchEvents)
}

// A page is some of the events that were asked for.
type page struct {
	events []eventstore.Envelope
	end    bool // there are no more
}

// page reads rows until there are limit of them, or many bytes, or no more.
func (r *reader) page(stmt *sqlite.Stmt, limit int) (p page, err error) {
	defer func() { err = errors.Join(err, stmt.Reset()) }()
	for bytes := 0; len(p.events) < limit && bytes < pageBytes; {
		row, err := stmt.Step()
		if err != nil {
			return page{}, fmt.Errorf("read events: %w", err)
		}
		if !row {
			p.end = true
			break
		}
		p.events = append(p.events, eventstore.Envelope{})
		e := &p.events[len(p.events)-1]
		if err := r.envelope(stmt, e); err != nil {
			return page{}, fmt.Errorf("read event %d: %w", e.Position, err)
		}
		bytes += size(e)
	}
	return p, nil
}

func (r *reader) envelope(stmt *sqlite.Stmt, e *eventstore.Envelope) (err error) {
	e.Position = eventstore.Position(stmt.ColumnInt64(0))
	if e.Stream, err = r.stream(stmt.ColumnInt64(1)); err != nil {
		return err
	}
	e.Version = stmt.ColumnInt64(2)
	stmt.ColumnBytes(3, e.ID[:])
	if e.Type, err = r.typeName(stmt.ColumnInt64(4)); err != nil {
		return err
	}
	e.Time = time.UnixMicro(stmt.ColumnInt64(5)).UTC()
	if stmt.ColumnIsNull(6) {
		e.Actor = eventstore.Actor{Kind: eventstore.ByDevice, ID: e.Stream.ID}
	} else if e.Actor, err = r.actor(stmt.ColumnInt64(6)); err != nil {
		return err
	}
	stmt.ColumnBytes(7, e.Correlation[:])
	stmt.ColumnBytes(8, e.Causation[:])
	e.Data, e.Personal, e.Secret, e.Evidence = parts(stmt)
	return nil
}

// parts copies the four parts of an event's data into one piece of memory.
func parts(stmt *sqlite.Stmt) (data, personal, secret, evidence []byte) {
	var n [4]int
	total := 0
	for i := range n {
		n[i] = stmt.ColumnLen(9 + i)
		total += n[i]
	}
	all := make([]byte, total)
	part := func(i int) []byte {
		if n[i] == 0 {
			return nil
		}
		b := all[:n[i]:n[i]]
		stmt.ColumnBytes(9+i, b)
		all = all[n[i]:]
		return b
	}
	return part(0), part(1), part(2), part(3)
}

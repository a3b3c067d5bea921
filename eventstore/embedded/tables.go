package embedded

import (
	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// tables are the committer's statements, and what it remembers so that it need not ask.
type tables struct {
	conn                               *sqlite.Conn
	insertEvent                        *sqlite.Stmt
	findStream, insertStream, standing *sqlite.Stmt
	findType, insertType               *sqlite.Stmt
	findActor, insertActor             *sqlite.Stmt

	streams *recent[eventstore.Stream, *head]
	types   map[string]int64
	actors  *recent[eventstore.Actor, int64]
}

// A head is a stream's row and its last version.
type head struct{ id, version int64 }

func (t *tables) prepare(conn *sqlite.Conn, options Options) error {
	t.conn = conn
	t.streams = newRecent[eventstore.Stream, *head](options.Streams)
	t.types = map[string]int64{}
	t.actors = newRecent[eventstore.Actor, int64](1 << 10)
	return prepare(conn, map[**sqlite.Stmt]string{
		&t.insertEvent: "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&t.standing:    "SELECT position, id FROM events WHERE stream = ? AND version > ? ORDER BY version",
		&t.findStream: `SELECT id, (SELECT max(version) FROM events WHERE stream = streams.id)
			FROM streams WHERE name = ? AND kind = ?`,
		&t.insertStream: "INSERT INTO streams (kind, name) VALUES (?, ?)",
		&t.findType:     "SELECT id FROM types WHERE name = ?",
		&t.insertType:   "INSERT INTO types (name) VALUES (?)",
		&t.findActor:    "SELECT id FROM actors WHERE kind = ? AND name_id = ? AND name = ? AND role = ?",
		&t.insertActor:  "INSERT INTO actors (kind, name_id, name, role) VALUES (?, ?, ?, ?)",
	})
}

// forget forgets everything, because some of it may have been rolled back.
func (t *tables) forget() {
	t.streams.forget()
	clear(t.types)
	t.actors.forget()
}

// stream returns the stream's head. Its id is 0 if the stream does not exist.
func (t *tables) stream(s eventstore.Stream) (*head, error) {
	if h, ok := t.streams.get(s); ok {
		return h, nil
	}
	h := &head{version: eventstore.NoStream}
	t.findStream.BindText(1, s.ID)
	t.findStream.BindText(2, s.Kind)
	err := one(t.findStream, func() { h.id, h.version = t.findStream.ColumnInt64(0), t.findStream.ColumnInt64(1) })
	if h.id != 0 {
		t.streams.put(s, h)
	}
	return h, err
}

func (t *tables) addStream(s eventstore.Stream, h *head) error {
	t.insertStream.BindText(1, s.Kind)
	t.insertStream.BindText(2, s.ID)
	err := run(t.insertStream)
	h.id = t.conn.LastInsertRowID()
	t.streams.put(s, h)
	return err
}

// repeats reports whether the very events of p stand where p wants them, and gives them their positions.
func (t *tables) repeats(h *head, p *pending) (bool, error) {
	if p.expected+int64(len(p.events)) > h.version {
		return false, nil
	}
	t.standing.BindInt64(1, h.id)
	t.standing.BindInt64(2, p.expected)
	for i := range p.events {
		e := &p.events[i]
		row, err := t.standing.Step()
		if err != nil {
			return false, err
		}
		var id eventstore.UUID
		if !row || t.standing.ColumnBytes(1, id[:]) != len(id) || id != e.ID {
			return false, t.standing.Reset()
		}
		e.Position = eventstore.Position(t.standing.ColumnInt64(0))
	}
	return true, t.standing.Reset()
}

func (t *tables) addEvent(stream int64, e *eventstore.Envelope, leaf *tlog.Hash) error {
	kind, err := t.typeID(e.Type)
	if err != nil {
		return err
	}
	s := t.insertEvent
	s.BindInt64(1, int64(e.Position))
	s.BindInt64(2, stream)
	s.BindInt64(3, e.Version)
	s.BindBytes(4, e.ID[:])
	s.BindInt64(5, kind)
	s.BindInt64(6, e.Time.UnixMicro())
	if err := t.bindActor(7, e); err != nil {
		return err
	}
	bindUUID(s, 8, e.Correlation)
	bindUUID(s, 9, e.Causation)
	bindJSON(s, 10, e.Data)
	bindBytes(s, 11, e.Personal)
	bindBytes(s, 12, e.Secret)
	bindBytes(s, 13, e.Evidence)
	s.BindBytes(14, leaf[:])
	return run(s)
}

func (t *tables) typeID(name string) (int64, error) {
	if id, ok := t.types[name]; ok {
		return id, nil
	}
	id, err := t.findOrInsert(t.findType, t.insertType, name)
	if err == nil {
		t.types[name] = id
	}
	return id, err
}

// bindActor binds who caused the event: nothing for the device whose stream it is, 0 for nobody.
func (t *tables) bindActor(param int, e *eventstore.Envelope) error {
	switch e.Actor {
	case eventstore.Actor{Kind: eventstore.ByDevice, ID: e.Stream.ID}:
		t.insertEvent.BindNull(param)
		return nil
	case eventstore.Actor{}:
		t.insertEvent.BindInt64(param, 0)
		return nil
	}
	id, ok := t.actors.get(e.Actor)
	if !ok {
		a := e.Actor
		var err error
		if id, err = t.findOrInsert(t.findActor, t.insertActor, string(a.Kind), a.ID, a.Name, a.Role); err != nil {
			return err
		}
		t.actors.put(a, id)
	}
	t.insertEvent.BindInt64(param, id)
	return nil
}

// findOrInsert returns the id of the row with the values, which it makes if there is none.
func (t *tables) findOrInsert(find, insert *sqlite.Stmt, values ...string) (id int64, err error) {
	for i, v := range values {
		find.BindText(i+1, v)
		insert.BindText(i+1, v)
	}
	if err = one(find, func() { id = find.ColumnInt64(0) }); err != nil || id != 0 {
		return id, err
	}
	err = run(insert)
	return t.conn.LastInsertRowID(), err
}

func bindUUID(s *sqlite.Stmt, param int, u eventstore.UUID) {
	if u.IsZero() {
		s.BindNull(param)
	} else {
		s.BindBytes(param, u[:])
	}
}

func bindBytes(s *sqlite.Stmt, param int, b []byte) {
	if len(b) == 0 {
		s.BindNull(param)
	} else {
		s.BindBytes(param, b)
	}
}

func bindJSON(s *sqlite.Stmt, param int, b []byte) {
	if len(b) == 0 {
		s.BindNull(param)
	} else {
		s.BindText(param, string(b))
	}
}

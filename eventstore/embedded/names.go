package embedded

import (
	"fmt"
	"sync"

	"zombiezen.com/go/sqlite"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// names remembers what the rows of the small tables say. They never change.
type names struct {
	mu      sync.Mutex
	streams *recent[int64, eventstore.Stream]
	types   *recent[int64, string]
	actors  *recent[int64, eventstore.Actor]
}

func (n *names) init(streams int) {
	n.streams = newRecent[int64, eventstore.Stream](streams)
	n.types = newRecent[int64, string](1 << 10)
	n.actors = newRecent[int64, eventstore.Actor](1 << 10)
}

func (r *reader) stream(id int64) (eventstore.Stream, error) {
	return lookup(r.names, r.names.streams, r.findStream, id, func() eventstore.Stream {
		return eventstore.Stream{Kind: r.findStream.ColumnText(0), ID: r.findStream.ColumnText(1)}
	})
}

func (r *reader) typeName(id int64) (string, error) {
	return lookup(r.names, r.names.types, r.findType, id, func() string { return r.findType.ColumnText(0) })
}

func (r *reader) actor(id int64) (eventstore.Actor, error) {
	if id == 0 {
		return eventstore.Actor{}, nil
	}
	return lookup(r.names, r.names.actors, r.who, id, func() eventstore.Actor {
		s := r.who
		return eventstore.Actor{
			Kind: eventstore.ActorKind(s.ColumnText(0)), ID: s.ColumnText(1), Name: s.ColumnText(2), Role: s.ColumnText(3),
		}
	})
}

// lookup returns what is remembered for the id, or asks the file.
func lookup[V any](n *names, known *recent[int64, V], stmt *sqlite.Stmt, id int64, row func() V) (V, error) {
	n.mu.Lock()
	v, ok := known.get(id)
	n.mu.Unlock()
	if ok {
		return v, nil
	}
	stmt.BindInt64(1, id)
	err := one(stmt, func() { v, ok = row(), true })
	if err == nil && !ok {
		err = fmt.Errorf("the log's file has no row %d where an event names it", id)
	}
	if err == nil {
		n.mu.Lock()
		known.put(id, v)
		n.mu.Unlock()
	}
	return v, err
}

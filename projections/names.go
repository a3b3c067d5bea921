package projections

import (
	_ "embed"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

//go:embed names.sql
var namesSQL string

// maxRemembered bounds each map that spares the writer a look into its tables.
const maxRemembered = 1 << 15

// names gives out small numbers for long texts: pseudonyms, types, keys, actors. Numbers are given in the order
// of first use and never change, whichever view is built anew.
type names struct {
	tx      Tx
	texts   [lastVocabulary]map[string]int64
	actors  map[eventstore.Actor]int64
	waiting map[commandKey]int64 // positions of commands that have not ended

	speaks   map[string]bool // types of events that a device causes itself
	presumed map[int64]bool  // devices that were given up; nil if not read yet
}

// A vocabulary is a set of texts with numbers of their own.
type vocabulary int64

const (
	devices      vocabulary = iota // pseudonyms
	types                          // of events
	channels                       // pseudonyms of users
	requestTypes                   // of commands
	areas                          // of facts: the part of a key that one kind of result owns
	keys                           // of facts
	objects                        // of facts: values that many devices share
	lastVocabulary
)

type commandKey struct {
	device int64
	uuid   string
}

func newNames(tx Tx) *names {
	n := &names{tx: tx, speaks: map[string]bool{}}
	for _, e := range spoken() {
		n.speaks[e.EventType()] = true
	}
	n.forget()
	return n
}

// forget drops all that is remembered: the transaction in which it was learnt was rolled back.
func (n *names) forget() {
	for i := range n.texts {
		n.texts[i] = map[string]int64{}
	}
	n.actors = map[eventstore.Actor]int64{}
	n.waiting = map[commandKey]int64{}
	n.presumed = nil
}

// id returns the number of a text, giving out a new one if it has none.
func (n *names) id(v vocabulary, text string) (int64, error) {
	if id, ok := n.texts[v][text]; ok {
		return id, nil
	}
	id, err := idOf(n.tx, v, text)
	if err == nil && id == 0 {
		_, err = one(n.tx, `INSERT INTO names (vocabulary, id, text)
			SELECT ?, CASE WHEN MAX(id) >= 16 THEN MAX(id) + 1 ELSE 16 END, ? FROM names WHERE vocabulary = ? RETURNING id`,
			[]any{int64(v), text, int64(v)}, func(r Row) { id = r.Int(0) })
	}
	if err != nil {
		return 0, err
	}
	keep(n.texts[v], text, id)
	return id, nil
}

// idOf returns the number of a text, 0 if it has none.
func idOf(tx Tx, v vocabulary, text string) (id int64, err error) {
	_, err = one(tx, `SELECT id FROM names WHERE vocabulary = ? AND text = ?`, []any{int64(v), text},
		func(r Row) { id = r.Int(0) })
	return id, err
}

// textOf returns the text that has the number.
func textOf(tx Tx, v vocabulary, id int64) (text string, err error) {
	_, err = one(tx, `SELECT text FROM names WHERE vocabulary = ? AND id = ?`, []any{int64(v), id},
		func(r Row) { text = r.Text(0) })
	return text, err
}

// actor returns the number of an actor; all that the log says of him in the open tells him apart.
func (n *names) actor(a eventstore.Actor) (id int64, err error) {
	a.Address = ""
	if id, ok := n.actors[a]; ok {
		return id, nil
	}
	args := []any{string(a.Kind), a.ID, a.Name, a.Role}
	found, err := one(n.tx, `SELECT id FROM actors WHERE kind = ? AND ident = ? AND name = ? AND role = ?`, args,
		func(r Row) { id = r.Int(0) })
	if err == nil && !found {
		_, err = one(n.tx, `INSERT INTO actors (id, kind, ident, name, role)
			SELECT COALESCE(MAX(id), 0) + 1, ?, ?, ?, ? FROM actors RETURNING id`, args, func(r Row) { id = r.Int(0) })
	}
	if err != nil {
		return 0, err
	}
	keep(n.actors, a, id)
	return id, nil
}

// queued remembers where a command was queued.
func (n *names) queued(device int64, uuid string, position int64) {
	keep(n.waiting, commandKey{device, uuid}, position)
}

// settled forgets a command that has ended: it will hardly be spoken of again.
func (n *names) settled(device int64, uuid string) { delete(n.waiting, commandKey{device, uuid}) }

// command returns where the device's newest command with the UUID was queued, up to a position; 0 if nowhere.
func (n *names) command(device int64, uuid string, upTo int64) (position int64, err error) {
	if position, ok := n.waiting[commandKey{device, uuid}]; ok {
		return position, nil
	}
	_, err = one(n.tx, `SELECT position FROM commands WHERE uuid = ? AND device = ? AND position <= ?
		ORDER BY position DESC LIMIT 1`, []any{uuid, device, upTo}, func(r Row) { position = r.Int(0) })
	return position, err
}

func keep[K comparable, V any](m map[K]V, key K, value V) {
	if len(m) >= maxRemembered {
		clear(m)
	}
	m[key] = value
}

// channel returns the number of a user's channel, NULL for the device's own.
func (n *names) channel(id device.ChannelID) (any, error) {
	if id == "" {
		return nil, nil
	}
	return n.id(channels, string(id))
}

// actorOf returns the number of an event's actor, NULL if it is the device itself.
func (n *names) actorOf(r *record) (any, error) {
	a := r.env.Actor
	if a.Kind == eventstore.ByDevice && (a.ID == "" || a.ID == r.env.Stream.ID) {
		return nil, nil
	}
	return n.actor(a)
}

// revived reports whether the event shows that a device is managed after all that was given up.
func (n *names) revived(r *record) (bool, error) {
	if n.presumed == nil {
		n.presumed = map[int64]bool{}
		if err := n.tx.Query(`SELECT device FROM presumed`, nil, func(row Row) error {
			n.presumed[row.Int(0)] = true
			return nil
		}); err != nil {
			return false, err
		}
	}
	if _, givenUp := r.event.(device.PresumedUnmanaged); givenUp {
		n.presumed[r.device] = true
		return false, n.tx.Exec(`INSERT INTO presumed (device) VALUES (?) ON CONFLICT (device) DO NOTHING`, r.device)
	}
	if !r.spoken || !n.presumed[r.device] {
		return false, nil
	}
	delete(n.presumed, r.device)
	switch e := r.event.(type) {
	case device.Authenticated:
		return e.Renewal, n.tx.Exec(`DELETE FROM presumed WHERE device = ?`, r.device) // any other sets a status of its own
	case device.CheckedOut: // which sets one too
		return false, n.tx.Exec(`DELETE FROM presumed WHERE device = ?`, r.device)
	}
	return true, n.tx.Exec(`DELETE FROM presumed WHERE device = ?`, r.device)
}

package projections

import (
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// where turns a filter into conditions on numbers.
func (f EventFilter) where(tx Tx) (*where, error) {
	w := &where{}
	steps := []func(Tx, *where) error{f.whereDevice, f.whereTypes, f.whereActor, f.whereTimes, f.whereCommand, f.whereSearch}
	for _, step := range steps {
		if err := step(tx, w); err != nil || w.impossible {
			return w, err
		}
	}
	return w, nil
}

func (f EventFilter) whereDevice(tx Tx, w *where) error {
	switch f.Kind {
	case "":
	case device.Kind:
		w.and("t.device IS NOT NULL")
	default:
		w.and("t.stream LIKE ?", f.Kind+"-%")
	}
	if f.Device == "" {
		return nil
	}
	id, err := deviceNumber(tx, f.Device)
	if w.impossible = id == 0; id != 0 {
		w.and("t.device = ?", id)
	}
	return err
}

func (f EventFilter) whereTypes(tx Tx, w *where) error {
	if len(f.Types) == 0 {
		return nil
	}
	var ids []int64
	for _, name := range f.Types {
		id, err := idOf(tx, types, name)
		if err != nil {
			return err
		}
		if id != 0 {
			ids = append(ids, id)
		}
	}
	w.in("t.type", ids)
	if len(ids) > 0 && slices.Min(ids) >= 16 && f.Device == "" {
		w.and("t.type >= 16") // so that the index of seldom types is taken
	}
	return nil
}

func (f EventFilter) whereActor(tx Tx, w *where) error {
	if len(f.ActorKind) > 0 {
		if err := whereActorKind(tx, w, f.ActorKind); err != nil || w.impossible {
			return err
		}
	}
	if f.Actor == "" {
		return nil
	}
	ids, err := numbers(tx, `SELECT id FROM actors WHERE ident = ? OR name = ?`, f.Actor, f.Actor)
	if err != nil {
		return err
	}
	itself, err := deviceNumber(tx, f.Actor)
	switch {
	case err != nil:
		return err
	case itself != 0:
		w.and("t.device = ? AND t.actor IS NULL", itself)
	default:
		w.in("t.actor", ids)
	}
	return nil
}

func whereActorKind(tx Tx, w *where, kinds []eventstore.ActorKind) error {
	var ids []int64
	for _, kind := range kinds {
		some, err := numbers(tx, `SELECT id FROM actors WHERE kind = ?`, string(kind))
		if err != nil {
			return err
		}
		ids = append(ids, some...)
	}
	if !slices.Contains(kinds, eventstore.ByDevice) {
		w.in("t.actor", ids)
		return nil
	}
	if len(ids) == 0 {
		w.and("t.actor IS NULL")
		return nil
	}
	w.and("(t.actor IS NULL OR t.actor IN ("+marks(len(ids))+"))", anys(ids)...)
	return nil
}

func (f EventFilter) whereTimes(tx Tx, w *where) error {
	if !f.From.IsZero() {
		before, err := positionAt(tx, f.From.Add(-time.Microsecond))
		if err != nil {
			return err
		}
		w.and("t.position > ?", int64(before))
	}
	if !f.To.IsZero() {
		last, err := positionAt(tx, f.To)
		if err != nil {
			return err
		}
		w.and("t.position <= ?", int64(last))
	}
	if f.AfterEvent > 0 {
		w.and("t.position > ?", int64(f.AfterEvent))
	}
	return nil
}

// whereCommand chooses what was said of a command: from its order on, on the devices it was for.
func (f EventFilter) whereCommand(tx Tx, w *where) error {
	if f.Command == "" {
		return nil
	}
	first := int64(0)
	var ids, on []int64
	if err := tx.Query(`SELECT position, device FROM commands WHERE uuid = ? ORDER BY position`, []any{f.Command},
		func(r Row) error {
			if first == 0 {
				first = r.Int(0)
			}
			ids, on = append(ids, r.Int(0)), append(on, r.Int(1))
			return nil
		}); err != nil {
		return err
	}
	strays, err := numbers(tx, `SELECT position FROM timeline WHERE uuid = ?`, f.Command)
	switch {
	case err != nil:
		return err
	case len(ids) == 0:
		w.in("t.position", strays)
	case len(strays) == 0:
		w.in("t.device", on)
		w.in("t.command", ids)
		w.and("t.position >= ?", first)
	default:
		w.and("(t.command IN ("+marks(len(ids))+") OR t.uuid = ?)", append(anys(ids), f.Command)...)
	}
	return nil
}

// whereSearch chooses events in whose type, command, actor or device the text occurs.
func (f EventFilter) whereSearch(tx Tx, w *where) error {
	if f.Search == "" {
		return nil
	}
	like := "%" + escapeLike(strings.ToLower(f.Search)) + "%"
	var either []string
	var args []any
	add := func(column, query string, queryArgs ...any) error {
		ids, err := numbers(tx, query, queryArgs...)
		if len(ids) > 0 {
			either = append(either, column+" IN ("+marks(len(ids))+")")
			args = append(args, anys(ids)...)
		}
		return err
	}
	if err := add("t.type", `SELECT id FROM names WHERE vocabulary = 1 AND text LIKE ? ESCAPE '!'`, like); err != nil {
		return err
	}
	if err := add("t.actor", `SELECT id FROM actors WHERE LOWER(name) LIKE ? ESCAPE '!' OR LOWER(ident) LIKE ? ESCAPE '!'`,
		like, like); err != nil {
		return err
	}
	if err := add("t.device", `SELECT DISTINCT device FROM fleet_spans WHERE LOWER(name) LIKE ? ESCAPE '!'
		OR LOWER(serial) LIKE ? ESCAPE '!' LIMIT 500`, like, like); err != nil {
		return err
	}
	if err := add("t.command", `SELECT position FROM commands WHERE uuid = ? LIMIT 500`, f.Search); err != nil {
		return err
	}
	if err := add("o.type", `SELECT id FROM names WHERE vocabulary = 3 AND LOWER(text) LIKE ? ESCAPE '!'`, like); err != nil {
		return err
	}
	if w.impossible = len(either) == 0; !w.impossible {
		w.and("("+strings.Join(either, " OR ")+")", args...)
	}
	return nil
}

func escapeLike(s string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s)
}

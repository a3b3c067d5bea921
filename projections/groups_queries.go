package projections

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Group is a group of devices as it was at a moment. DeviceFilter.Group chooses its devices.
type Group struct {
	ID          string
	Name        string
	Description string
	Rule        json.RawMessage // in the words of ParseRule; nil if its members are named one by one
	CreatedAt   time.Time
	CreatedBy   eventstore.Actor
	Since       time.Time // of the name, the description and the rule
}

const groupColumns = `g.id, g.name, g.description, g.rule, c.time, s.time, a.kind, a.ident, a.name, a.role FROM groups g
	JOIN timeline c ON c.position = g.created JOIN timeline s ON s.position = g.since LEFT JOIN actors a ON a.id = g.actor`

func readGroup(r Row) Group {
	g := Group{
		ID: r.Text(0), Name: r.Text(1), Description: r.Text(2), CreatedAt: moment(r.Int(4)), Since: moment(r.Int(5)),
		CreatedBy: readActor(r, 6, ""),
	}
	if !r.Null(3) {
		g.Rule = json.RawMessage(r.Text(3))
	}
	return g
}

// Groups lists the groups that there were at a moment, by id.
func (v *Views) Groups(ctx context.Context, asOf eventstore.Position, p Page) (l Listing[Group], err error) {
	w, err := windowOf[string](p)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		list, err := newAlbum(tx, asOf).groups(w)
		l = listing(w, list, func(g Group) string { return g.ID })
		return err
	})
	return l, err
}

// Group returns a group as it was at a moment, and whether there was one.
func (v *Views) Group(ctx context.Context, id string, asOf eventstore.Position) (g Group, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		g, found, err = newAlbum(tx, asOf).group(id)
		return err
	})
	return g, found, err
}

// GroupsOf lists the groups that a device belonged to at a moment, by id.
func (v *Views) GroupsOf(ctx context.Context, deviceID string, asOf eventstore.Position) (list []Group, err error) {
	err = v.read(ctx, func(tx Tx) error {
		all, err := newAlbum(tx, asOf).groups(window[string]{n: -1})
		if err != nil {
			return err
		}
		for _, g := range all {
			q := DeviceQuery{Filter: DeviceFilter{IDs: []string{deviceID}, Group: g.ID}, Page: Page{First: 1}, AsOf: asOf}
			s, err := newSelection(q)
			if err != nil {
				return err
			}
			if err := s.gather(tx, g, true); err != nil {
				return err
			}
			if found, err := s.find(tx); err != nil {
				return err
			} else if len(found) > 0 {
				list = append(list, g)
			}
		}
		return nil
	})
	return list, err
}

// groups reads the groups of a window; all of them if its n is negative.
func (a *album) groups(w window[string]) (list []Group, err error) {
	var where where
	covers, args := a.at("g")
	where.and(covers, args...)
	if w.after != nil {
		where.and("g.id > ?", *w.after)
	}
	if w.before != nil {
		where.and("g.id < ?", *w.before)
	}
	order := ` ORDER BY g.id LIMIT ?`
	if w.backward {
		order = ` ORDER BY g.id DESC LIMIT ?`
	}
	limit := w.n + 1
	if w.n < 0 {
		limit = 1 << 30
	}
	err = a.tx.Query(`SELECT `+groupColumns+where.String()+order, append(where.args, limit), func(r Row) error {
		list = append(list, readGroup(r))
		return nil
	})
	return list, err
}

func (a *album) group(id string) (g Group, found bool, err error) {
	covers, args := a.at("g")
	found, err = one(a.tx, `SELECT `+groupColumns+` WHERE g.id = ? AND `+covers, append([]any{id}, args...),
		func(r Row) { g = readGroup(r) })
	return g, found, err
}

// assemble narrows a selection to the group that its filter names.
func (s *selection) assemble(tx Tx) error {
	if s.Filter.Group == "" {
		return nil
	}
	g, found, err := newAlbum(tx, s.AsOf).group(s.Filter.Group)
	if err != nil {
		return err
	}
	return s.gather(tx, g, found)
}

// gather narrows a selection to a group: to its members, or to whoever fits its rule.
func (s *selection) gather(tx Tx, g Group, found bool) error {
	switch {
	case !found:
		s.impossible = true
	case g.Rule != nil:
		rule, err := ParseRule(g.Rule)
		if refusal, refused := domain.Refused(err); refused {
			return domain.Refusef(domain.Conflict, "the rule of the group %s cannot be understood: %s", g.ID, refusal.Text)
		}
		s.rule = rule
	default:
		covers, args := newAlbum(tx, s.AsOf).at("m")
		s.members.and("s.device IN (SELECT m.device FROM group_members m WHERE m.grouping = ? AND "+covers+")",
			append([]any{g.ID}, args...)...)
	}
	return nil
}

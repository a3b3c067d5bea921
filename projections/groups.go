package projections

import (
	_ "embed"

	"github.com/rollcall-mdm/rollcall/domain/group"
)

//go:embed groups.sql
var groupsSQL string

// groups answers: which groups are there, and who belonged to them at any moment?
type groups struct{ names *names }

func newGroups(n *names) folder { return groups{n} }

func (groups) forget()        {}
func (groups) flush(Tx) error { return nil }

func (g groups) apply(tx Tx, r *record) error {
	id := r.env.Stream.ID
	switch e := r.event.(type) {
	case group.Created:
		actor, err := g.names.actorOf(r)
		if err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO groups (id, since, created, actor, name, description, rule) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			id, r.position, r.position, actor, e.Name, e.Description, textOrNull(string(e.Rule)))
	case group.Changed:
		return g.change(tx, r, e)
	case group.MembersAdded:
		return g.each(e.Devices, func(number int64) error {
			return tx.Exec(`INSERT INTO group_members (grouping, device, since) VALUES (?, ?, ?)`, id, number, r.position)
		})
	case group.MembersRemoved:
		return g.each(e.Devices, func(number int64) error {
			return tx.Exec(`UPDATE group_members SET until = ? WHERE grouping = ? AND device = ? AND until IS NULL`, r.position, id, number)
		})
	case group.Deleted:
		if err := tx.Exec(`UPDATE group_members SET until = ? WHERE grouping = ? AND until IS NULL`, r.position, id); err != nil {
			return err
		}
		return g.end(tx, r)
	}
	return nil
}

// change ends the group's open span and begins another.
func (g groups) change(tx Tx, r *record, e group.Changed) error {
	if err := g.end(tx, r); err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO groups (id, since, created, actor, name, description, rule)
		SELECT id, until, created, actor, ?, ?, ? FROM groups WHERE id = ? AND until = ?`,
		e.Name, e.Description, textOrNull(string(e.Rule)), r.env.Stream.ID, r.position)
}

func (groups) end(tx Tx, r *record) error {
	return tx.Exec(`UPDATE groups SET until = ? WHERE id = ? AND until IS NULL`, r.position, r.env.Stream.ID)
}

func (g groups) each(pseudonyms []string, do func(number int64) error) error {
	for _, id := range pseudonyms {
		number, err := g.names.id(devices, id)
		if err != nil {
			return err
		}
		if err := do(number); err != nil {
			return err
		}
	}
	return nil
}

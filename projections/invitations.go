package projections

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

//go:embed invitations.sql
var invitationsSQL string

// invitations answers: which ways in are there, and how many came in by them?
type invitations struct{ names *names }

func newInvitations(n *names) folder { return invitations{n} }

func (invitations) forget()        {}
func (invitations) flush(Tx) error { return nil }

func invitationsNeed(e domain.Event) bool {
	_, invited := e.(enrollment.Invited) // its note
	return invited
}

func (i invitations) apply(tx Tx, r *record) error {
	id := r.env.Stream.ID
	switch e := r.event.(type) {
	case enrollment.Invited:
		actor, err := i.names.actorOf(r)
		if err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO invitations (id, position, actor, name, roads, rights, uses, expires, grouping, note)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, id, r.position, actor, e.Name, strings.Join(e.Roads, ","), int64(e.AccessRights),
			int64(e.Uses), microseconds(e.Expires), e.Group, e.Note)
	case enrollment.Withdrawn:
		return tx.Exec(`UPDATE invitations SET withdrawn = ?, reason = ? WHERE id = ? AND withdrawn IS NULL`, r.position, e.Reason, id)
	case challenge.Vouched:
		return tx.Exec(`INSERT INTO sign_ins (ticket, at) VALUES (?, ?) ON CONFLICT (ticket) DO NOTHING`, id, r.at)
	case enrollment.Admitted:
		if e.Again {
			return nil
		}
		return tx.Exec(`INSERT INTO invitation_keys (invitation, position, road, public_key) VALUES (?, ?, ?, ?)`, id, r.position, e.Road, e.PublicKey)
	}
	return nil
}

// An Invitation is a way in as it was at a moment.
type Invitation struct {
	ID string
	enrollment.Terms
	CreatedAt   time.Time
	CreatedBy   eventstore.Actor
	WithdrawnAt time.Time // zero if it was not
	Reason      string    // of that
	Used        int       // how many keys were let in
}

// Invitations lists the ways in that there were at a moment, also those that were closed, by id.
func (v *Views) Invitations(ctx context.Context, asOf eventstore.Position, p Page) (l Listing[Invitation], err error) {
	w, err := windowOf[string](p)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		var where where
		if w.after != nil {
			where.and("i.id > ?", *w.after)
		}
		if w.before != nil {
			where.and("i.id < ?", *w.before)
		}
		order := ` ORDER BY i.id LIMIT ?`
		if w.backward {
			order = ` ORDER BY i.id DESC LIMIT ?`
		}
		list, err := invitationsAt(tx, asOf, where, order, w.n+1)
		l = listing(w, list, func(i Invitation) string { return i.ID })
		return err
	})
	return l, err
}

// Invitation returns a way in as it was at a moment, and whether there was one.
func (v *Views) Invitation(ctx context.Context, id string, asOf eventstore.Position) (i Invitation, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		var where where
		where.and("i.id = ?", id)
		list, err := invitationsAt(tx, asOf, where, "")
		if len(list) > 0 {
			i, found = list[0], true
		}
		return err
	})
	return i, found, err
}

// lastly is the moment after all that is known, where a comparison stands for one.
func lastly(asOf eventstore.Position) int64 {
	if asOf == Now {
		return 1<<63 - 1
	}
	return int64(asOf)
}

func invitationsAt(tx Tx, asOf eventstore.Position, where where, rest string, more ...any) (list []Invitation, err error) {
	at := lastly(asOf)
	where.and("i.position <= ?", at)
	args := append([]any{at, at, at}, append(where.args, more...)...)
	err = tx.Query(`SELECT i.id, i.name, i.roads, i.rights, i.uses, i.expires, i.grouping, i.note, c.time,
		(SELECT w.time FROM timeline w WHERE w.position = i.withdrawn AND i.withdrawn <= ?), CASE WHEN i.withdrawn <= ? THEN i.reason END,
		(SELECT COUNT(*) FROM invitation_keys k WHERE k.invitation = i.id AND k.position <= ?),
		a.kind, a.ident, a.name, a.role FROM invitations i JOIN timeline c ON c.position = i.position LEFT JOIN actors a ON a.id = i.actor`+where.String()+rest,
		args, func(r Row) error {
			one := Invitation{
				ID: r.Text(0), CreatedAt: moment(r.Int(8)), WithdrawnAt: moment(r.Int(9)), Reason: r.Text(10), Used: int(r.Int(11)), CreatedBy: readActor(r, 12, ""),
				Terms: enrollment.Terms{Name: r.Text(1), AccessRights: int(r.Int(3)), Uses: int(r.Int(4)), Expires: moment(r.Int(5)), Group: r.Text(6), Note: r.Text(7)},
			}
			if r.Text(2) != "" {
				one.Roads = strings.Split(r.Text(2), ",")
			}
			list = append(list, one)
			return nil
		})
	return list, err
}

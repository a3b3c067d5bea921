package projections

import (
	_ "embed"
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

//go:embed declarations.sql
var declarationsSQL string

// declarations answers: what are devices told to be, who is to have it, and who has been told?
type declarations struct{ names *names }

func newDeclarations(n *names) folder { return declarations{n} }

func (declarations) forget()        {}
func (declarations) flush(Tx) error { return nil }

func (d declarations) apply(tx Tx, r *record) error {
	if r.device != 0 {
		return d.channel(tx, r)
	}
	id := r.env.Stream.ID
	switch e := r.event.(type) {
	case declaration.Put:
		return d.put(tx, r, e)
	case declaration.Assigned:
		return tx.Exec(`INSERT INTO declaration_groups (declaration, grouping, users, since) VALUES (?, ?, ?, ?)`,
			id, e.Assignment.Group, boolInt(e.Assignment.Users), r.position)
	case declaration.Unassigned:
		return tx.Exec(`UPDATE declaration_groups SET until = ? WHERE declaration = ? AND grouping = ? AND users = ? AND until IS NULL`,
			r.position, id, e.Assignment.Group, boolInt(e.Assignment.Users))
	case declaration.Withdrawn:
		if err := tx.Exec(`UPDATE declaration_groups SET until = ? WHERE declaration = ? AND until IS NULL`, r.position, id); err != nil {
			return err
		}
		return tx.Exec(`UPDATE declarations SET until = ? WHERE id = ? AND until IS NULL`, r.position, id)
	}
	return nil
}

// put ends the content that the declaration had, and writes the new one.
func (d declarations) put(tx Tx, r *record, e declaration.Put) error {
	actor, err := d.names.actorOf(r)
	if err != nil {
		return err
	}
	activates, err := json.Marshal(e.Activates)
	if err != nil {
		return err
	}
	created := r.position
	if _, err := onerow(tx, `SELECT created FROM declarations WHERE id = ? AND until IS NULL`, []any{r.env.Stream.ID}, &created); err != nil {
		return err
	}
	if err := tx.Exec(`UPDATE declarations SET until = ? WHERE id = ? AND until IS NULL`, r.position, r.env.Stream.ID); err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO declarations (id, since, created, actor, type, token, activates, shown) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		r.env.Stream.ID, r.position, created, actor, e.Type, e.ServerToken, string(activates), string(e.Shown))
}

// channel keeps what a channel was told of: nothing once it enrols anew, or the command was taken back.
func (d declarations) channel(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case device.DeclarationsAnnounced:
		number, err := d.number(e.Channel)
		if err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO declaration_channels (device, channel, token) VALUES (?, ?, ?)
			ON CONFLICT (device, channel) DO UPDATE SET token = excluded.token`, r.device, number, e.Token)
	case device.CommandCancelled:
		return d.untold(tx, r, e.Channel, e.RequestType)
	case device.CommandExpired:
		return d.untold(tx, r, e.Channel, e.RequestType)
	case device.Authenticated:
		if e.Renewal {
			return nil
		}
		return tx.Exec(`DELETE FROM declaration_channels WHERE device = ?`, r.device)
	case device.SubjectErased:
		if e.Channel != "" {
			return d.untold(tx, r, e.Channel, device.DeclarativeManagement)
		}
		return tx.Exec(`DELETE FROM declaration_channels WHERE device = ?`, r.device)
	}
	return nil
}

func (d declarations) untold(tx Tx, r *record, channel device.ChannelID, requestType string) error {
	if requestType != device.DeclarativeManagement {
		return nil
	}
	number, err := d.number(channel)
	if err != nil {
		return err
	}
	return tx.Exec(`DELETE FROM declaration_channels WHERE device = ? AND channel = ?`, r.device, number)
}

func (d declarations) number(channel device.ChannelID) (int64, error) {
	if channel == "" {
		return 0, nil
	}
	return d.names.id(channels, string(channel))
}

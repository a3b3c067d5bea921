package projections

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Managed is a thing that this server has put on a device, as it was at a moment.
type Managed struct {
	Channel     device.ChannelID
	Kind        string
	Identifier  string // PayloadIdentifier, bundle identifier, UUID, short name, or SHA-256
	State       string
	Was         string // the state before the device was presumed to be managed no longer; else empty
	Because     string // why, in words
	InstalledBy eventstore.Actor
	Command     string // CommandUUID of what brought it; empty if nothing of ours did
	CommandAt   time.Time
	Removal     string // CommandUUID of what took it away
	Revision    string // SHA-256 of what was sent, hex
	UUID        string // that a profile was sent with
	PartOf      string // the profile that brought a certificate
	Stays       bool   // when the enrolment ends
	Locked      bool   // the user cannot remove it
	About       json.RawMessage

	Since         time.Time // of this state
	SincePosition eventstore.Position
	Until         time.Time // zero while it holds
	UntilPosition eventstore.Position
}

// Ended reports whether the thing is managed no longer.
func (m Managed) Ended() bool {
	return m.State == ManagedRemoved || m.State == ManagedGone || m.State == ManagedLeft
}

const managedColumns = `SELECT n.text, m.kind, m.ident, m.state, m.was, m.because, c.uuid, q.time, x.uuid, m.revision, m.uuid, m.part_of, m.stays, m.locked,
	m.about, s.time, m.since, u.time, m.until, a.kind, a.ident, a.name, a.role FROM managed m
	LEFT JOIN names n ON n.vocabulary = 2 AND n.id = m.channel AND m.channel <> 0
	LEFT JOIN commands c ON c.position = m.command LEFT JOIN timeline q ON q.position = m.command LEFT JOIN actors a ON a.id = c.actor
	LEFT JOIN commands x ON x.position = m.removal
	LEFT JOIN timeline s ON s.position = m.since LEFT JOIN timeline u ON u.position = m.until`

func readManaged(r Row) Managed {
	m := Managed{
		Channel: device.ChannelID(r.Text(0)), Kind: r.Text(1), Identifier: r.Text(2), State: r.Text(3), Was: r.Text(4), Because: r.Text(5),
		Command: r.Text(6), CommandAt: moment(r.Int(7)), Removal: r.Text(8), Revision: r.Text(9), UUID: r.Text(10), PartOf: r.Text(11),
		Stays: r.Int(12) != 0, Locked: r.Int(13) != 0, Since: moment(r.Int(15)), SincePosition: eventstore.Position(r.Int(16)),
		Until: moment(r.Int(17)), UntilPosition: eventstore.Position(r.Int(18)), InstalledBy: readActor(r, 19, ""),
	}
	if about := r.Text(14); about != "" {
		m.About = json.RawMessage(about)
	}
	return m
}

// Managed returns what this server has put on a device, all channels together, as it was at a moment. What ended is
// told too: how it ended is part of the answer.
func (v *Views) Managed(ctx context.Context, deviceID string, asOf eventstore.Position) (found []Managed, err error) {
	err = v.read(ctx, func(tx Tx) error {
		id, err := deviceNumber(tx, deviceID)
		if err != nil || id == 0 {
			return err
		}
		found, err = managedOf(tx, id, asOf)
		return err
	})
	return found, err
}

func managedOf(tx Tx, id int64, asOf eventstore.Position) (found []Managed, err error) {
	covers, args := newAlbum(tx, asOf).at("m")
	err = tx.Query(managedColumns+` WHERE m.device = ? AND `+covers+` ORDER BY m.kind, m.ident, n.text`, append([]any{id}, args...), func(r Row) error {
		found = append(found, readManaged(r))
		return nil
	})
	return found, err
}

// ManagedHistory returns how one thing on a device was, the oldest first.
func (v *Views) ManagedHistory(ctx context.Context, deviceID string, channel device.ChannelID, kind, identifier string) (found []Managed, err error) {
	err = v.read(ctx, func(tx Tx) error {
		id, err := deviceNumber(tx, deviceID)
		if err != nil || id == 0 {
			return err
		}
		number, err := channelNumber(tx, channel)
		if err != nil || channel != "" && number == 0 {
			return err
		}
		return tx.Query(managedColumns+` WHERE m.device = ? AND m.channel = ? AND m.kind = ? AND m.ident = ? ORDER BY m.since`,
			[]any{id, number, kind, identifier}, func(r Row) error {
				found = append(found, readManaged(r))
				return nil
			})
	})
	return found, err
}

package projections

import (
	_ "embed"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

//go:embed timeline.sql
var timelineSQL string

// timeline answers: what has happened, in which order, to whom, and by whom? What each event says stays in the
// log. It is also the views' calendar: other tables keep positions, and find their times here.
type timeline struct{ names *names }

func newTimeline(n *names) folder { return timeline{n} }

func (timeline) forget()        {}
func (timeline) flush(Tx) error { return nil }

func (t timeline) apply(tx Tx, r *record) error {
	eventType, err := t.names.id(types, r.env.Type)
	if err != nil {
		return err
	}
	actor, err := t.names.actorOf(r)
	if err != nil {
		return err
	}
	channel, err := t.names.channel(r.channel())
	if err != nil {
		return err
	}
	var stream, uuid any
	if r.env.Stream.Kind != device.Kind {
		stream = r.env.Stream.String()
	}
	if r.command == 0 {
		uuid = textOrNull(r.uuid)
	}
	return tx.Exec(`INSERT INTO timeline (position, time, type, device, stream, version, channel, command, uuid, actor)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.position, r.at, eventType, orNull(r.device), stream, r.env.Version,
		channel, orNull(r.command), uuid, actor)
}

package esdb

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// form is the form of metadata that we write, and the only one that we know.
const form = 1

// about is what an envelope says besides its data. The names that begin with $ are the database's own.
type about struct {
	Form        int              `json:"rollcall"` // marks our events
	Time        time.Time        `json:"time"`
	Actor       eventstore.Actor `json:"actor,omitzero"`
	Correlation eventstore.UUID  `json:"$correlationId,omitzero"`
	Causation   eventstore.UUID  `json:"$causationId,omitzero"`
	Personal    []byte           `json:"personal,omitempty"`
	Secret      []byte           `json:"secret,omitempty"`
	Evidence    []byte           `json:"evidence,omitempty"`
	Packed      *packed          `json:"packed,omitempty"`
}

// packed says how much of the event's data is what, one after the other. Large events are stored so: as base64
// their sealed parts would take a third more of what the server allows.
type packed struct {
	Data     int `json:"data"`
	Personal int `json:"personal"`
	Secret   int `json:"secret"`
	Evidence int `json:"evidence"`
}

// propose writes events for the database, within the limit of an append.
func propose(events []eventstore.Envelope, limit int) ([]client.EventData, error) {
	size := 0
	for _, pack := range []bool{false, true} {
		proposed := make([]client.EventData, len(events))
		size = 0
		for i := range events {
			var err error
			if proposed[i], err = encode(&events[i], pack); err != nil {
				return nil, err
			}
			size += len(proposed[i].Data) + len(proposed[i].Metadata) + 2*len(proposed[i].EventType)
		}
		if size <= limit {
			return proposed, nil
		}
	}
	return nil, fmt.Errorf("%d events of %d bytes, want at most %d bytes: %w", len(events), size, limit, ErrTooLarge)
}

// encode writes an event for the database.
func encode(e *eventstore.Envelope, pack bool) (client.EventData, error) {
	m := about{
		Form: form, Time: e.Time.UTC().Truncate(time.Microsecond),
		Actor: e.Actor, Correlation: e.Correlation, Causation: e.Causation,
		Personal: e.Personal, Secret: e.Secret, Evidence: e.Evidence,
	}
	data, content := []byte(e.Data), client.ContentTypeBinary
	if json.Valid(data) {
		content = client.ContentTypeJson
	}
	if pack && len(e.Personal)+len(e.Secret)+len(e.Evidence) > 0 {
		m.Packed = &packed{len(e.Data), len(e.Personal), len(e.Secret), len(e.Evidence)}
		m.Personal, m.Secret, m.Evidence = nil, nil, nil
		data = make([]byte, 0, len(e.Data)+len(e.Personal)+len(e.Secret)+len(e.Evidence))
		data = append(append(append(append(data, e.Data...), e.Personal...), e.Secret...), e.Evidence...)
		content = client.ContentTypeBinary
	}
	text, err := json.Marshal(m)
	if err != nil {
		return client.EventData{}, fmt.Errorf("write the metadata of %s: %w", e.Type, err)
	}
	return client.EventData{EventID: [16]byte(e.ID), EventType: e.Type, ContentType: content, Data: data, Metadata: text}, nil
}

// decode reads an event of the database, and says whether it is ours. What is ours and cannot be read is an
// error.
func decode(r *client.RecordedEvent) (e eventstore.Envelope, ours bool, err error) {
	if strings.HasPrefix(r.StreamID, "$") || strings.HasPrefix(r.EventType, "$") {
		return e, false, nil
	}
	stream, err := eventstore.ParseStream(r.StreamID)
	if err != nil {
		return e, false, nil
	}
	var m about
	switch err := json.Unmarshal(r.UserMetadata, &m); {
	case err != nil && formOf(r.UserMetadata) == form:
		return e, true, fmt.Errorf("read the metadata of %q at %d: %w", r.StreamID, r.EventNumber, err)
	case err != nil || m.Form != form:
		return e, false, nil
	}
	if r.Position.Commit > math.MaxInt64 {
		return e, true, fmt.Errorf("%q at %d has no position: want EventStoreDB 22.10 or later", r.StreamID, r.EventNumber)
	}
	e = eventstore.Envelope{
		ID: eventstore.UUID(r.EventID), Stream: stream, Version: int64(r.EventNumber), Position: eventstore.Position(r.Position.Commit),
		Type: r.EventType, Time: m.Time.UTC(), Actor: m.Actor, Correlation: m.Correlation, Causation: m.Causation,
		Data: r.Data, Personal: m.Personal, Secret: m.Secret, Evidence: m.Evidence,
	}
	if m.Packed != nil {
		if err := m.Packed.open(&e); err != nil {
			return e, true, fmt.Errorf("read %q at %d: %w", r.StreamID, r.EventNumber, err)
		}
	}
	return e, true, nil
}

// formOf returns the form that metadata claims to have, whatever else is in it; 0 if it claims none.
func formOf(text []byte) int {
	var mark struct {
		Form int `json:"rollcall"`
	}
	if json.Unmarshal(text, &mark) != nil {
		return 0
	}
	return mark.Form
}

// open cuts the event's data into its parts.
func (p *packed) open(e *eventstore.Envelope) error {
	rest := []byte(e.Data)
	cut := func(n int) (part []byte) {
		if n < 0 || n > len(rest) {
			rest = nil
			return nil
		}
		part, rest = rest[:n:n], rest[n:]
		return part
	}
	whole := len(rest)
	e.Data, e.Personal, e.Secret, e.Evidence = cut(p.Data), cut(p.Personal), cut(p.Secret), cut(p.Evidence)
	if got := len(e.Data) + len(e.Personal) + len(e.Secret) + len(e.Evidence); got != whole {
		return fmt.Errorf("its data has %d bytes, and its parts have %d", whole, got)
	}
	return nil
}

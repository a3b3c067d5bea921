// Package export records what was given out of the log, and to whom. One stream is one disclosure.
package export

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams.
const Kind = "export"

// An Export is a disclosure as its events tell it.
type Export struct{}

// A Disclosed says that somebody was given the keys of sealed parts of events, and no other keys. One that is about
// a single device stands in the device's stream, as device.disclosed.
type Disclosed struct {
	Parts     []string  // personal, secret, evidence
	From      time.Time `json:",omitzero"` // of the question
	To        time.Time `json:",omitzero"`
	Position  int64     // the last event that was asked about
	Events    int       // of which parts were disclosed
	Recipient string    `seal:"personal" json:",omitempty"`
	Reason    string    `seal:"personal" json:",omitempty"`
}

// EventType returns the stored name.
func (Disclosed) EventType() string { return "export.disclosed" }

// Events lists every event of exports by its zero value.
func Events() []domain.Event { return []domain.Event{Disclosed{}} }

// Disclose decides what follows when somebody is to be given keys. It must be clear to whom, and why.
func (Export) Disclose(d Disclosed) ([]domain.Event, error) {
	if d.Recipient == "" || d.Reason == "" {
		return nil, domain.Refusef(domain.Invalid, "say to whom it is disclosed, and why: the log keeps it")
	}
	return []domain.Event{d}, nil
}

// Evolve returns the export after e.
func (x Export) Evolve(domain.Event, time.Time) Export { return x }

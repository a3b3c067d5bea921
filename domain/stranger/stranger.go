// Package stranger records what people at the door sent who showed no identity that the server trusts: counted,
// and sampled within a bound, so that nobody can fill the log from outside.
package stranger

import "github.com/rollcall-mdm/rollcall/domain"

// Kind is the kind of the streams. A stream's id is a day in UTC, 2006-01-02.
const Kind = "stranger"

// A MessageRefused keeps a sample of what a stranger sent, and counts those that were not kept. The message
// itself, cut short if it is long, is the event's evidence.
type MessageRefused struct {
	Reason  string
	Path    string
	Size    int    // of the message in bytes; -1 if it was not read
	Unkept  int    // messages of strangers that were refused since the last sample, and not kept
	Address string `seal:"personal" json:",omitempty"`
}

// EventType returns the stored name.
func (MessageRefused) EventType() string { return "stranger.message-refused" }

// Events lists every event of strangers by its zero value.
func Events() []domain.Event { return []domain.Event{MessageRefused{}} }

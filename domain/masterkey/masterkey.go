// Package masterkey records when the master key, which wraps all keys that seal the log, was changed.
package masterkey

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams, and ID the id of the one that there is.
const (
	Kind = "masterkey"
	ID   = "master"
)

// A MasterKey is the master key as its events tell it.
type MasterKey struct {
	Name    string // which tells nothing about it; empty if it was never changed
	Changed time.Time
}

// A Rotated says that all data keys are wrapped by another master key from now on. The data keys, and all that they
// seal, stayed as they were.
type Rotated struct {
	Before, Master string // names
	Source         string // what keeps it: file, env, exec, https
	Subjects       int    // whose data keys were wrapped anew
	Reason         string `json:",omitempty"`
}

// EventType returns the stored name.
func (Rotated) EventType() string { return "masterkey.rotated" }

// Events lists every event of the master key by its zero value.
func Events() []domain.Event { return []domain.Event{Rotated{}} }

// Rotate records a rotation that was done.
func (MasterKey) Rotate(r Rotated) ([]domain.Event, error) { return []domain.Event{r}, nil }

// Evolve returns the master key after e.
func (m MasterKey) Evolve(e domain.Event, at time.Time) MasterKey {
	if e, ok := e.(Rotated); ok {
		m.Name, m.Changed = e.Master, at
	}
	return m
}

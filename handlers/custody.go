package handlers

import (
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A MasterKey is how the key that wraps all data keys stands.
type MasterKey struct {
	Name     string // which tells nothing about it
	Source   string // what keeps it: file, env, exec, https
	Rotating bool   // it is being changed
	Done     int    // so many data keys are wrapped by the next one
	Failed   string // why the last change did not come to its end; empty if it did
}

// A Disclosure says which sealed parts of which events are to be opened for whom. The zero Device, From and To mean
// all.
type Disclosure struct {
	Device    string // pseudonym
	From, To  time.Time
	Position  eventstore.Position // up to which; all if zero
	Parts     []string            // personal, secret, evidence
	Recipient string
	Reason    string
}

// A PartKey is the own key of one sealed part of one event. It opens that part and nothing else.
type PartKey struct {
	Position eventstore.Position `json:"position"`
	Place    eventstore.Position `json:"place,omitempty"` // among all events, as bundles count, where that is not the position
	Part     string              `json:"part"`
	Key      []byte              `json:"key"`
}

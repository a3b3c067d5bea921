// Package domain holds the words that all aggregates share: an Event is what has happened, a Refusal is an
// answer of the domain to what it will not do. Below it stand the aggregates, one package each.
//
// Nothing here or below has a clock, a file, a context or chance in it: times, ids and the caller's identity
// are arguments.
package domain

import (
	"errors"
	"fmt"
)

// An Event is something that has happened. Its stored name never changes.
type Event interface{ EventType() string }

// A Reason says why something was refused; doors turn it into their status.
type Reason int

// The reasons. The zero Reason is none.
const (
	_         Reason = iota
	Invalid          // the request makes no sense: mend it
	Conflict         // it makes sense, but not in this state
	Forbidden        // it makes sense, but not for this caller
	NotFound         // what it speaks of does not exist
	Unmanaged        // the device or user is not managed here
)

var reasons = [...]string{"none", "invalid", "conflict", "forbidden", "not-found", "unmanaged"}

// String returns the reason's stable name, fit for programs.
func (r Reason) String() string { return reasons[r] }

// A Refusal is the domain's answer to a request it will not grant, told to the caller as it stands. Text holds
// no secret and nothing personal.
type Refusal struct {
	Reason Reason
	Text   string
	Hint   string // what the caller can do next; may be empty
}

func (r *Refusal) Error() string { return r.Text }

// Refusef returns a refusal.
func Refusef(reason Reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// WithHint returns the refusal err with advice on what to do next. Any other error is returned as it stands.
func WithHint(err error, hint string) error {
	if r, ok := errors.AsType[*Refusal](err); ok {
		told := *r
		told.Hint = hint
		return &told
	}
	return err
}

// Refused returns err's refusal and whether it is one.
func Refused(err error) (*Refusal, bool) { return errors.AsType[*Refusal](err) }

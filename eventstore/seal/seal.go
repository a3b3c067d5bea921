// Package seal keeps what the log must know from those who may not.
//
// An event has up to three parts, and a struct tag at each field says which one it stands in: open (no tag), which
// everybody may read; `seal:"personal"`, which views and doors open by themselves; `seal:"secret"`, which is opened
// only to deliver a command to its device, or by a reveal. A Codec obeys the tags. The evidence of an event, the
// exact bytes that a device sent, may hold secrets, and is sealed as one.
//
// A subject is whose the sealed parts are: a stream, or one user within it. Each subject has two data keys, one for
// what is personal and one for secrets, and they stand in a Keyring outside the log, wrapped by a MasterKey. Each part
// of each event has a key of its own, derived from the subject's: so one event can be disclosed, with its key and no
// other. To destroy a subject's data keys is to destroy all that was ever sealed for it, in every copy of the log.
//
// A sealed part is a random nonce of 12 bytes and an AES-256-GCM ciphertext, bound to its place: it opens in no other
// event, stream or part.
package seal

import (
	"errors"
	"fmt"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Part names one of the sealed parts of an event.
type Part string

// The sealed parts.
const (
	Personal Part = "personal"
	Secret   Part = "secret"
	Evidence Part = "evidence"
)

// ErrBroken says that sealed bytes do not open: they were altered or moved, or the key is not theirs.
var ErrBroken = errors.New("the sealed bytes were altered or moved, or the key is not theirs")

// ErrAbsent says that the event has no such part, or that its keys were destroyed.
var ErrAbsent = errors.New("the event has no such part, or its keys were destroyed")

// of returns the part's bytes as the envelope holds them.
func (p Part) of(env eventstore.Envelope) ([]byte, error) {
	switch p {
	case Personal:
		return env.Personal, nil
	case Secret:
		return env.Secret, nil
	case Evidence:
		return env.Evidence, nil
	}
	return nil, fmt.Errorf("an event has no part %q", string(p))
}

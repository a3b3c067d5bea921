// Package eventstore keeps what has happened: envelopes in streams, in one order, for ever.
//
// An Envelope is one event as it is stored. A Log keeps envelopes; every log obeys the laws of
// eventstoretest. A Repository loads an aggregate from its stream, lets it decide, and appends what
// follows. The package knows no device: what an event means is its Codec's business.
package eventstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// ErrConflict says that the stream has moved on since it was read. Read it again and decide anew.
var ErrConflict = errors.New("the stream has moved on")

// ErrClosed says that the log was closed.
var ErrClosed = errors.New("the log is closed")

// ErrUnknownType says that a program reads an event of a type that it has never heard of: a newer one wrote it. What is
// open in it can be shown; what follows from it, only the newer one knows.
var ErrUnknownType = errors.New("this program knows no event of this type: a newer one wrote it")

// ErrUnavailable says that something which the log needs is away for now, such as the service that holds its keys.
// Nothing was written; the same call may well succeed later.
var ErrUnavailable = errors.New("what the log needs is away for now")

// NoStream is the expected version of a stream that does not exist yet.
const NoStream int64 = -1

// A Position is an event's place among all events, counted from 1. Positions grow; in the embedded log
// they have no gaps. Position 0 is before the first event.
type Position int64

// A Stream names the history of one thing: its kind (device, operator …) and its id within the kind.
type Stream struct {
	Kind string // lower-case letters only: the first hyphen of String ends it
	ID   string // any text
}

// String returns the stream's stored name, "kind-id".
func (s Stream) String() string { return s.Kind + "-" + s.ID }

// ParseStream reads a stored name. The kind ends at the first hyphen.
func ParseStream(name string) (Stream, error) {
	kind, id, ok := strings.Cut(name, "-")
	if !ok || kind == "" {
		return Stream{}, fmt.Errorf("%q names no stream: want kind-id", name)
	}
	return Stream{kind, id}, nil
}

// An Envelope is one event as it is stored, with all that is known about its making.
//
// Data is open to every reader. Personal, Secret and Evidence are ciphertext: only a Codec that holds the
// keys can open them, and whoever destroys the keys has destroyed them.
type Envelope struct {
	ID          UUID
	Stream      Stream
	Version     int64     // place in the stream, from 0, without gaps
	Position    Position  // place among all events
	Type        string    // stored name, e.g. device.token-updated; it never changes
	Time        time.Time // UTC, to the microsecond, by the server's clock
	Actor       Actor
	Correlation UUID // the request or order that this belongs to; zero if none
	Causation   UUID // the event that caused this one; zero if none
	Data        json.RawMessage
	Personal    []byte
	Secret      []byte
	Evidence    []byte
}

// ActorKind says what sort of actor caused an event.
type ActorKind string

// The kinds of actors.
const (
	ByDevice   ActorKind = "device"
	ByOperator ActorKind = "operator"
	ByToken    ActorKind = "token"
	ByWorker   ActorKind = "worker"
	ByApple    ActorKind = "apple"
)

// An Actor is who caused an event, as known at that time: a value, never a reference that may vanish.
// A device's ID is its pseudonym, and it has no Name here. Address is sealed by the Codec.
type Actor struct {
	Kind    ActorKind `json:"kind"`
	ID      string    `json:"id,omitempty"`
	Name    string    `json:"name,omitempty"`
	Role    string    `json:"role,omitempty"`
	Address string    `json:"-"`
}

// A UUID identifies an event or a request (RFC 9562). The zero UUID means none.
type UUID [16]byte

// NewUUID returns a random UUID (version 4).
func NewUUID() UUID {
	var u UUID
	_, _ = rand.Read(u[:]) // crypto/rand never fails: it ends the program instead
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return u
}

// IsZero reports whether u means none.
func (u UUID) IsZero() bool { return u == UUID{} }

// String returns the canonical upper-case form, or "" for the zero UUID.
func (u UUID) String() string {
	if u.IsZero() {
		return ""
	}
	h := strings.ToUpper(hex.EncodeToString(u[:]))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseUUID reads the canonical form, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if s == "" {
		return u, nil
	}
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, fmt.Errorf("%q is not a UUID", s)
	}
	if _, err := hex.Decode(u[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
		return UUID{}, fmt.Errorf("%q is not a UUID", s)
	}
	return u, nil
}

// MarshalText writes the canonical form.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads the canonical form.
func (u *UUID) UnmarshalText(text []byte) (err error) {
	*u, err = ParseUUID(string(text))
	return err
}

// Direction says which way a stream is read.
type Direction bool

// The two directions.
const (
	Forward  Direction = false
	Backward Direction = true
)

// A Log keeps envelopes. Its laws stand in eventstoretest: an acknowledged append is on disk; expected
// versions are exact; the same event ids appended again at the same place are success, once; a batch is all
// or nothing; positions have no holes that could later fill; a follower sees each event once and in order.
type Log interface {
	// Append adds events to the stream, whose last version must be expected (NoStream if it must not
	// exist). It sets each event's Stream, Version and Position in place, and returns when they are durable.
	// ErrConflict: the stream has moved on. Appending no events does nothing. The log may keep the bytes of the
	// events, and share those that it yields among its readers: nobody may change them.
	Append(ctx context.Context, stream Stream, expected int64, events []Envelope) error

	// ReadStream yields a stream's events from a version on (inclusive), forward or backward. Backward from
	// a negative version starts at the end. A stream that does not exist is empty.
	ReadStream(ctx context.Context, stream Stream, from int64, direction Direction) iter.Seq2[Envelope, error]

	// ReadAll yields all events after a position, in order, up to the head at the time of the call.
	ReadAll(ctx context.Context, after Position) iter.Seq2[Envelope, error]

	// Follow yields all events after a position, in batches as they become durable, until ctx ends (which
	// ends the sequence without an error) or the log is closed.
	Follow(ctx context.Context, after Position) iter.Seq2[[]Envelope, error]

	// Head returns the position of the last event, 0 if there is none.
	Head(ctx context.Context) (Position, error)

	// Close ends the log. Appends under way end with success or ErrClosed.
	Close() error
}

// A Codec turns events of one family into envelopes and back. Encode fills Type, Data, Personal and Secret,
// seals env.Evidence (given in the clear) and the actor's address. Decode opens what its keys can open: what
// cannot be opened any more is absent, which is no error. DecodeActor returns env's actor with the address.
type Codec[E any] interface {
	Encode(env Envelope, event E) (Envelope, error)
	Decode(env Envelope) (E, error)
}

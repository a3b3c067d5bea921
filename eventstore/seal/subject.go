package seal

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Subject is whose the sealed parts of events are: a stream, or one user within it.
type Subject struct {
	Stream eventstore.Stream
	Within string // the user; empty for the stream itself
}

// Of returns the subject that a stream is.
func Of(stream eventstore.Stream) Subject { return Subject{Stream: stream} }

// String returns the subject's stored name.
func (s Subject) String() string {
	if s.Within == "" {
		return s.Stream.String()
	}
	return s.Stream.String() + "/" + s.Within
}

// parseSubject reads a stored name.
func parseSubject(name string) (Subject, error) {
	name, within, _ := strings.Cut(name, "/")
	stream, err := eventstore.ParseStream(name)
	return Subject{stream, within}, err
}

// An eraser knows how often a subject was erased before a version.
type eraser interface {
	before(subject Subject, version int64) int
}

// keysAt names the data keys that seal the subject's events at a version. Before the first erasure they are named as
// the subject is. A stream's later ones have the number in front, and so have those of the users within it; a user
// who was erased alone has his own number behind. A stream's name begins with a letter.
func (s Subject) keysAt(past eraser, version int64) string {
	name := s.Stream.String()
	if n := past.before(Of(s.Stream), version); n > 0 {
		name = fmt.Sprintf("%d#%s", n, name)
	}
	if s.Within == "" {
		return name
	}
	name += "/" + s.Within
	if n := past.before(s, version); n > 0 {
		name = fmt.Sprintf("%s#%d", name, n)
	}
	return name
}

// erasures is what a keyring knows of the past.
type erasures struct{ Keyring }

func (e erasures) before(subject Subject, version int64) int { return e.Epoch(subject, version) }

// epochs are the versions up to which subjects were erased, in order. The zero value knows of none.
type epochs map[Subject][]int64

func (e epochs) before(subject Subject, version int64) (n int) {
	for _, upTo := range e[subject] {
		if upTo < version {
			n++
		}
	}
	return n
}

func (e epochs) with(subject Subject, upTo int64) epochs {
	after := maps.Clone(e)
	if after == nil {
		after = epochs{}
	}
	if !slices.Contains(e[subject], upTo) {
		after[subject] = append(slices.Clip(e[subject]), upTo)
	}
	return after
}

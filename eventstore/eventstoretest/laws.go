// Package eventstoretest holds the laws that every eventstore.Log keeps, and a log that keeps them only just.
//
// Run holds a log to the laws, each on a place of its own. Flaky wraps a log and does what networks and disks
// do on bad days, so that nobody relies on good ones; Faulty does it at one call that can be chosen.
package eventstoretest

import (
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Subject is a log that shall be held to the laws.
type Subject struct {
	// Open opens the log kept at a place, which is the path of an empty directory at first. The same place
	// names the same events again. Other logs may share the store behind it: laws look only at what comes
	// after the head they found, and name their streams so that they are new.
	Open func(t *testing.T, place string) eventstore.Log

	// Restart restarts the store behind a place while the log is open; nil if there is none but the log.
	Restart func(t *testing.T, place string)

	Sparse bool // positions grow, but not by one
}

var laws = []struct {
	law  string
	test func(*trial)
}{
	{"what is appended is read back in order, whole", readsBack},
	{"an append tells where its events stand", tellsPlaces},
	{"an append of nothing does nothing", appendsNothing},
	{"a stale or hasty writer conflicts, and writes nothing", conflicts},
	{"the same append again is success, once", repeats},
	{"other events at the same place conflict", impostors},
	{"a batch is all or nothing", batches},
	{"of many writers one wins", oneWins},
	{"versions are dense and positions grow", numbers},
	{"an event without an id, or of no kind of stream, is refused", refuses},
	{"any id names a stream, and no other", awkwardStreams},
	{"any data is kept", awkwardData},
	{"times are kept to the microsecond, in UTC", times},
	{"actors are kept whole, without their address", actors},
	{"a stream is read backward, and from any version", directions},
	{"a long stream is read to its end, both ways", longStreams},
	{"a reader may stop at any event, and start again", stops},
	{"all is read up to the head at the time of the call", readsUpToHead},
	{"a reader among writers sees no gap", readsDuringWriting},
	{"an event is found at its position, and none elsewhere", findsPositions},
	{"a follower sees the past, then the future, once each", follows},
	{"a follower sees nothing that is not in the log", followsTheDurable},
	{"a follower may start anywhere", followsFromTheMiddle},
	{"followers do not disturb each other", followsTogether},
	{"a follower among writers misses nothing", followsWriters},
	{"a follower ends with its context, without an error", followEnds},
	{"an ended context ends reads and appends", contexts},
	{"an append whose caller left is there wholly or not at all", leavers},
	{"a closed log says so", closes},
	{"an append while the log closes is there if it was acknowledged", closesUnderLoad},
	{"a log opened again has all, and goes on", reopens},
	{"many clients are told what one after the other could be, whatever restarts", linearizes},
}

// Run checks the log against every law.
func Run(t *testing.T, s Subject) {
	for _, l := range laws {
		t.Run(l.law, func(t *testing.T) {
			tr := &trial{T: t, Subject: s, place: t.TempDir()}
			tr.open()
			l.test(tr)
		})
	}
}

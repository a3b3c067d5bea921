package esdb_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// In a long outage a call is tried less often, so that nobody is kept waiting for long; and when the server is back, as
// often as ever.
func TestALongOutageMakesImpatient(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), esdb.Options{Patience: 400 * time.Millisecond})
	fails := func() int {
		t.Helper()
		before := server.Calls("Append")
		if err := l.Append(t.Context(), stream, -1, some(1)); err == nil {
			t.Fatal("the append was taken")
		}
		return server.Calls("Append") - before
	}
	server.Inject(esdbtest.Fault{Kind: esdbtest.Refuse, Method: "Append", Times: 1000})
	first := fails()
	if later := fails(); later >= first {
		t.Errorf("the first call was tried %d times, the next one %d times", first, later)
	}
	if _, err := l.Head(t.Context()); err != nil { // the outage is over
		t.Fatal(err)
	}
	if again := fails(); again <= first/2 {
		t.Errorf("after the outage a call was tried %d times, and %d times before", again, first)
	}
}

func TestAppendsAreObserved(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	var seen []esdb.Appended
	options := hasty
	options.Observe = func(a esdb.Appended) { seen = append(seen, a) }
	l := open(t, server.URL(), options)
	appendTo(t, l, -1, 3)
	if err := l.Append(t.Context(), stream, -1, some(1)); !errors.Is(err, eventstore.ErrConflict) {
		t.Fatal(err)
	}
	server.Stop()
	if err := l.Append(t.Context(), stream, 2, some(1)); err == nil {
		t.Fatal("an append to nowhere was taken")
	}
	if len(seen) != 3 || seen[0].Events != 3 || seen[0].Bytes != 3*len(`{"n":0}x`) || seen[0].Took <= 0 || seen[0].Err != nil {
		t.Errorf("of three appends was told: %+v", seen)
	}
	if !errors.Is(seen[1].Err, eventstore.ErrConflict) || seen[2].Err == nil || errors.Is(seen[2].Err, eventstore.ErrConflict) {
		t.Errorf("the errors that were told are %v and %v", seen[1].Err, seen[2].Err)
	}
}

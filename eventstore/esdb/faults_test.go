package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// What is known to be wrong with the official client, v4.2.0, and the test that shows that we do not suffer from it:
//
//	a client whose discovery failed once is dead for ever        TestServerAway, TestServerRestarted
//	calls hang, whatever their context, when the server is gone  TestCallersLeave, TestSilentHost
//	Close panics in the callers that hang                        TestCallersLeave
//	requires-leader is not sent                                  TestCluster
//	Recv panics on messages that it does not know                TestStrangeMessages, TestReadThroughFaults
//	an event without its time of creation ends the program       esdbtest always says it: TestEveryEventSaysWhenItWasCreated
//	why too large an append was refused is lost                  TestTooLarge: it is not sent
//	a dropped subscription stays dropped                         TestFollowThroughFaults, TestFollowWaits
//	Subscription.Recv knows no context                           TestFollowWaits, and the laws
//	no expected revision means any; no event id means a new one  the laws: exact versions, and refused without an id

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// hasty is for tests in which the server stays away.
var hasty = esdb.Options{Patience: 50 * time.Millisecond, Deadline: 200 * time.Millisecond}

var stream = eventstore.Stream{Kind: "device", ID: "a-b"}

func some(n int) []eventstore.Envelope {
	events := make([]eventstore.Envelope, n)
	for i := range events {
		events[i] = eventstore.Envelope{
			ID: eventstore.NewUUID(), Type: "device.seen", Time: time.Now(), Data: fmt.Appendf(nil, `{"n":%d}`, i), Secret: []byte{1},
		}
	}
	return events
}

func appendTo(t *testing.T, l *esdb.Log, expected int64, n int) []eventstore.Envelope {
	t.Helper()
	events := some(n)
	if err := l.Append(t.Context(), stream, expected, events); err != nil {
		t.Fatal(err)
	}
	return events
}

func ids(events []eventstore.Envelope) (ids []eventstore.UUID) {
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func read(t *testing.T, l *esdb.Log) (events []eventstore.Envelope) {
	t.Helper()
	for e, err := range l.ReadStream(t.Context(), stream, 0, eventstore.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func readAll(t *testing.T, l *esdb.Log) (events []eventstore.Envelope) {
	t.Helper()
	for e, err := range l.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func same(t *testing.T, what string, got, want []eventstore.Envelope) {
	t.Helper()
	if !slices.Equal(ids(got), ids(want)) {
		t.Fatalf("%s: %d events %v, want %d %v", what, len(got), ids(got), len(want), ids(want))
	}
	for i := range got {
		if got[i].Version != want[i].Version || got[i].Position != want[i].Position {
			t.Errorf("%s: event %d stands at %d #%d, want %d #%d", what, i, got[i].Version, got[i].Position, want[i].Version, want[i].Position)
		}
	}
}

// An append that meets a fault is there once, and knows where it stands.
func TestAppendThroughFaults(t *testing.T) {
	append1 := func(kind esdbtest.Kind, times int) []esdbtest.Fault {
		return []esdbtest.Fault{{Kind: kind, Method: "Append", Times: times}}
	}
	for name, c := range map[string]struct {
		faults []esdbtest.Fault
		calls  int
	}{
		"the answer is lost":     {append1(esdbtest.Lose, 1), 2},
		"three answers are lost": {append1(esdbtest.Lose, 3), 4},
		"refused":                {append1(esdbtest.Refuse, 3), 4},
		"aborted by a time-out":  {[]esdbtest.Fault{{Kind: esdbtest.Refuse, Method: "Append", Code: codes.Aborted}}, 2},
		"stalled":                {append1(esdbtest.Stall, 1), 2},
		"no leader is known":     {[]esdbtest.Fault{{Kind: esdbtest.Refuse, Method: "Append", Code: codes.NotFound}}, 2},
		"the leader says that another node leads":   {append1(esdbtest.NotLeader, 1), 2},
		"the answer is lost, and the ids forgotten": {append(append1(esdbtest.Lose, 1), append1(esdbtest.Forget, 1)...), 2},
	} {
		for _, n := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				server := serve(t, esdbtest.Options{Noise: 2})
				l := open(t, server.URL(), esdb.Options{Deadline: 300 * time.Millisecond})
				want := appendTo(t, l, -1, 2)
				before := server.Calls("Append")
				for _, f := range c.faults {
					server.Inject(f)
				}
				want = append(want, appendTo(t, l, 1, n)...)
				if calls := server.Calls("Append") - before; calls != c.calls || server.Waiting() != 0 {
					t.Errorf("the append took %d calls, want %d; %d faults wait", calls, c.calls, server.Waiting())
				}
				same(t, "the stream", read(t, l), want)
				same(t, "the log", readAll(t, l), want)
			})
		}
	}
}

// An append that was overtaken by somebody else while it was tried again conflicts.
func TestAppendOvertaken(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), esdb.Options{})
	want := appendTo(t, l, -1, 2)
	server.Inject(esdbtest.Fault{Kind: esdbtest.Refuse, Method: "Append"})
	for _, n := range []int{1, 2, 3} {
		if err := l.Append(t.Context(), stream, -1, some(n)); !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("%d events: %v, want a conflict", n, err)
		}
	}
	same(t, "the log", readAll(t, l), want)
}

// What is refused for good is not tried again for long: only as often as the client loses the cause, which it does when
// the refusal comes while it still sends (defect 7).
func TestAppendRefusedForGood(t *testing.T) {
	for _, code := range []codes.Code{codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument} {
		server := serve(t, esdbtest.Options{})
		l := open(t, server.URL(), esdb.Options{})
		const refusals = 50
		for range refusals {
			server.Inject(esdbtest.Fault{Kind: esdbtest.Refuse, Method: "Append", Code: code})
		}
		if err := l.Append(t.Context(), stream, -1, some(1)); err == nil {
			t.Errorf("%s: the append was taken", code)
		}
		if server.Waiting() == 0 {
			t.Errorf("%s: it was tried %d times, for all that it was told", code, server.Calls("Append"))
		}
	}
}

func TestTooLarge(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), esdb.Options{})
	events := some(2)
	events[0].Evidence = make([]byte, 600<<10)
	events[1].Evidence = make([]byte, 600<<10)
	if err := l.Append(t.Context(), stream, -1, events); !errors.Is(err, esdb.ErrTooLarge) {
		t.Errorf("%v, want %v", err, esdb.ErrTooLarge)
	}
	if calls := server.Calls("Append"); calls != 0 {
		t.Errorf("the server was asked %d times", calls)
	}
	for i := range events { // one by one they fit, but not as base64
		events[i].Evidence = make([]byte, 1000<<10)
		if err := l.Append(t.Context(), stream, int64(i-1), events[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "the stream", read(t, l), events)
}

// A log whose server went away fails in time, and works when the server is back.
func TestServerAway(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), hasty)
	want := appendTo(t, l, -1, 1)
	server.Stop()
	for range 3 {
		if err := l.Append(t.Context(), stream, 0, some(1)); err == nil || errors.Is(err, eventstore.ErrConflict) {
			t.Fatalf("without a server: %v", err)
		}
		if _, err := l.Head(t.Context()); err == nil {
			t.Fatal("there is a head, but no server")
		}
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	want = append(want, appendTo(t, l, 0, 2)...)
	same(t, "the log", readAll(t, l), want)
}

// A server that was started again is found at once, however many connections it has cut.
func TestServerRestarted(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), esdb.Options{})
	for round := range 3 {
		var all sync.WaitGroup
		for i := range 32 {
			all.Go(func() {
				if err := l.Append(t.Context(), eventstore.Stream{Kind: "d", ID: fmt.Sprint(i)}, int64(round-1), some(1)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		server.Stop()
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		if _, err := l.Head(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

// A host that takes connections and never says a word does not keep its callers.
func TestSilentHost(t *testing.T) {
	hole, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	for name, format := range map[string]string{"a node": "esdb://%s?tls=false&gossipTimeout=1", "a cluster": "esdb://%s,127.0.0.1:1?tls=false&gossipTimeout=1"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		begun := time.Now()
		_, err := esdb.Open(ctx, fmt.Sprintf(format, hole.Addr()), esdb.Options{})
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 3*time.Second {
			t.Errorf("%s: after %s: %v", name, took, err)
		}
		cancel()
	}
}

// Many callers of a server that went away, or says nothing, are back with their contexts; and Close ends the
// rest without a panic.
func TestCallersLeave(t *testing.T) {
	for name, leave := range map[string]func(*esdbtest.Server){
		"away": (*esdbtest.Server).Stop,
		"silent": func(s *esdbtest.Server) {
			s.Inject(esdbtest.Fault{Kind: esdbtest.Stall, Method: "Append", Times: 1000})
			s.Inject(esdbtest.Fault{Kind: esdbtest.Stall, Method: "Read", Times: 1000})
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, esdbtest.Options{})
			l := open(t, server.URL(), esdb.Options{Connections: 8})
			appendTo(t, l, -1, 1)
			leave(server)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			var all, closed sync.WaitGroup
			begun := time.Now()
			for i := range 32 {
				all.Go(func() {
					if err := l.Append(ctx, eventstore.Stream{Kind: "d", ID: fmt.Sprint(i)}, -1, some(1)); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v, want %v", err, context.DeadlineExceeded)
					}
				})
				closed.Go(func() {
					if _, err := l.Head(t.Context()); !errors.Is(err, eventstore.ErrClosed) {
						t.Errorf("%v, want %v", err, eventstore.ErrClosed)
					}
				})
			}
			all.Wait()
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("the callers were back after %s", took)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			closed.Wait()
		})
	}
}

// A server may say to every reader what the client does not know.
func TestStrangeMessages(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), hasty)
	want := appendTo(t, l, -1, 3)
	before := server.Calls("Read")
	server.Inject(esdbtest.Fault{Kind: esdbtest.Strange, Method: "Read", After: 1, Times: 1000})
	same(t, "the stream", read(t, l), want)
	same(t, "the log", readAll(t, l), want)
	if calls := server.Calls("Read") - before; calls != 3 { // the stream, the head, and all
		t.Errorf("it took %d calls, want 3", calls)
	}
}

func TestReadThroughFaults(t *testing.T) {
	server := serve(t, esdbtest.Options{Noise: 5})
	l := open(t, server.URL(), esdb.Options{Deadline: 500 * time.Millisecond})
	var want []eventstore.Envelope
	for i := range 10 {
		want = append(want, appendTo(t, l, int64(20*i-1), 20)...)
	}
	for _, f := range []esdbtest.Fault{
		{Kind: esdbtest.Refuse},
		{Kind: esdbtest.Stall},
		{Kind: esdbtest.NotLeader},
		{Kind: esdbtest.Drop, After: 5},
		{Kind: esdbtest.Drop, After: 50},
		{Kind: esdbtest.Strange},
		{Kind: esdbtest.Strange, After: 7},
		{Kind: esdbtest.Slow, Pace: time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%s after %d", f.Kind, f.After), func(t *testing.T) {
			f.Method = "Read"
			server.Inject(f)
			same(t, "the stream", read(t, l), want)
			server.Inject(f)
			server.Inject(f) // ReadAll looks for the head first
			same(t, "the log", readAll(t, l), want)
			server.Inject(f)
			if head, err := l.Head(t.Context()); err != nil || head != want[len(want)-1].Position {
				t.Errorf("the head is %d, %v; want %d", head, err, want[len(want)-1].Position)
			}
			if server.Waiting() != 0 {
				t.Errorf("%d faults did not happen", server.Waiting())
			}
		})
	}
}

// A cluster's leader is found, by gossip or by hearsay, and found again after an election.
func TestCluster(t *testing.T) {
	leader := serve(t, esdbtest.Options{})
	follower := serve(t, esdbtest.Options{Leader: leader})
	for name, url := range map[string]string{
		"gossip":  fmt.Sprintf("esdb://%s,%s?tls=false", follower.Addr(), leader.Addr()),
		"hearsay": follower.URL(),
		"name":    strings.Replace(follower.URL(), "esdb://", "esdb+discover://", 1),
	} {
		t.Run(name, func(t *testing.T) {
			leader.Lead()
			stream := eventstore.Stream{Kind: "device", ID: name}
			l := open(t, url, esdb.Options{})
			for i, leads := range []*esdbtest.Server{leader, follower, leader} {
				leads.Lead()
				before := leads.Calls("Append")
				if err := l.Append(t.Context(), stream, int64(i-1), some(1)); err != nil {
					t.Fatal(err)
				}
				if leads.Calls("Append") == before {
					t.Error("the append did not go to the leader")
				}
			}
			if got := follow(t, l, 0, 3); len(got) < 3 {
				t.Errorf("the follower saw %d events", len(got))
			}
		})
	}
}

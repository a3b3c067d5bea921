package eventstoretest

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

func readsBack(tr *trial) {
	s := tr.stream()
	want := append(tr.append(s, eventstore.NoStream, 1), tr.append(s, 0, 3)...)
	want = append(want, tr.append(s, 3, 1)...)
	tr.same("the stream", tr.read(s, 0, eventstore.Forward), want)
	tr.same("the log", tr.all(), want)
	tr.same("a stream that does not exist", tr.read(tr.stream(), 0, eventstore.Forward), nil)
}

func tellsPlaces(tr *trial) {
	s := tr.stream()
	events := append(tr.append(s, eventstore.NoStream, 2), tr.append(s, 1, 2)...)
	tr.dense(events)
	tr.ordered(tr.start, events)
	for _, e := range events {
		if e.Stream != s {
			tr.Errorf("the event stands in %s, want %s", e.Stream, s)
		}
	}
	if head := tr.head(); head != events[3].Position {
		tr.Errorf("the head is %d, want %d", head, events[3].Position)
	}
}

func appendsNothing(tr *trial) {
	s := tr.stream()
	tr.must(tr.log.Append(tr.Context(), s, eventstore.NoStream, nil))
	tr.must(tr.log.Append(tr.Context(), s, 7, envelopes{}))
	tr.same("the log", tr.all(), nil)
}

func conflicts(tr *trial) {
	s, none := tr.stream(), tr.stream()
	want := tr.append(s, eventstore.NoStream, 2)
	for _, expected := range []int64{eventstore.NoStream, 0, 2, 100} {
		tr.conflict(s, expected, some(1))
		tr.conflict(s, expected, some(3))
	}
	tr.conflict(none, 0, some(1))
	tr.conflict(none, 5, some(2))
	tr.same("the stream", tr.read(s, 0, eventstore.Forward), want)
	tr.same("the log", tr.all(), want)
	tr.append(none, eventstore.NoStream, 1)
	tr.append(s, 1, 1)
}

func repeats(tr *trial) {
	s := tr.stream()
	first := tr.append(s, eventstore.NoStream, 2)
	want := append(slices.Clone(first), tr.append(s, 1, 2)...)
	for _, again := range []envelopes{first, first[:1], want, want[:3], want[2:]} {
		repeated := slices.Clone(again)
		for i := range repeated {
			repeated[i].Stream, repeated[i].Version, repeated[i].Position = eventstore.Stream{}, 0, 0
		}
		tr.must(tr.log.Append(tr.Context(), s, again[0].Version-1, repeated))
		tr.same("the repeated append", repeated, again)
	}
	tr.same("the stream", tr.read(s, 0, eventstore.Forward), want)
	tr.same("the log", tr.all(), want)
	tr.append(s, 3, 1)
}

func impostors(tr *trial) {
	s, other := tr.stream(), tr.stream()
	want := tr.append(s, eventstore.NoStream, 3)
	longer := append(slices.Clone(want), event(9))
	changed := slices.Clone(want)
	changed[1] = event(9)
	tr.conflict(s, eventstore.NoStream, some(3))
	tr.conflict(s, eventstore.NoStream, longer)
	tr.conflict(s, eventstore.NoStream, changed)
	tr.conflict(s, eventstore.NoStream, reversed(want))
	tr.conflict(s, 0, want[:1])
	tr.conflict(other, 0, want[1:])
	tr.same("the log", tr.all(), want)
}

// batches lets writers of batches fight for one stream: whatever is read, no batch is torn.
func batches(tr *trial) {
	const writers, rounds, size = 6, 10, 5
	s := tr.stream()
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			expected := int64(-1)
			for range rounds {
				for tr.log.Append(tr.Context(), s, expected, some(size)) != nil {
					expected += size
				}
				expected += size
				if n := len(tr.read(s, 0, eventstore.Forward)); n%size != 0 {
					tr.Errorf("the stream has %d events, though they come by %d", n, size)
				}
			}
		})
	}
	all.Wait()
	events := tr.read(s, 0, eventstore.Forward)
	tr.dense(events)
	if len(events) != writers*rounds*size {
		tr.Errorf("the stream has %d events, want %d", len(events), writers*rounds*size)
	}
	for i, e := range events {
		if want := string(event(i % size).Data); string(e.Data) != want {
			tr.Fatalf("event %d says %s, want %s", i, e.Data, want)
		}
	}
}

func oneWins(tr *trial) {
	const writers, rounds = 16, 10
	s := tr.stream()
	for round := range rounds {
		var wins atomic.Int64
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				if tr.log.Append(tr.Context(), s, int64(round-1), some(1)) == nil {
					wins.Add(1)
				}
			})
		}
		all.Wait()
		if wins.Load() != 1 {
			tr.Fatalf("round %d has %d winners", round, wins.Load())
		}
	}
	tr.dense(tr.read(s, 0, eventstore.Forward))
}

func numbers(tr *trial) {
	const writers, rounds = 8, 30
	streams := make([]eventstore.Stream, writers)
	var all sync.WaitGroup
	for w := range writers {
		streams[w] = tr.stream()
		all.Go(func() {
			for version := int64(-1); version < rounds; {
				n := 1 + int(version+1)%3
				if err := tr.log.Append(tr.Context(), streams[w], version, some(n)); err != nil {
					tr.Error(err)
					return
				}
				version += int64(n)
			}
		})
	}
	all.Wait()
	tr.ordered(tr.start, tr.all())
	for _, s := range streams {
		tr.dense(tr.read(s, 0, eventstore.Forward))
	}
}

func refuses(tr *trial) {
	nameless := some(2)
	nameless[1].ID = eventstore.UUID{}
	for what, err := range map[string]error{
		"an event without an id": tr.log.Append(tr.Context(), tr.stream(), eventstore.NoStream, nameless),
		"a stream of no kind":    tr.log.Append(tr.Context(), eventstore.Stream{ID: "x"}, eventstore.NoStream, some(1)),
		"a kind with a hyphen":   tr.log.Append(tr.Context(), eventstore.Stream{Kind: "a-b", ID: "x"}, eventstore.NoStream, some(1)),
		"a version below none":   tr.log.Append(tr.Context(), tr.stream(), -2, some(1)),
	} {
		if err == nil {
			tr.Errorf("%s was taken", what)
		}
	}
	tr.same("the log", tr.all(), nil)
}

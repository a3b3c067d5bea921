package eventstoretest

import (
	"slices"
	"sync"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

func directions(tr *trial) {
	s, none := tr.stream(), tr.stream()
	all := tr.append(s, eventstore.NoStream, 5)
	tr.append(tr.stream(), eventstore.NoStream, 2)
	back := reversed(all)
	for _, c := range []struct {
		what      string
		stream    eventstore.Stream
		from      int64
		direction eventstore.Direction
		want      envelopes
	}{
		{"from the start", s, 0, eventstore.Forward, all},
		{"from the middle", s, 2, eventstore.Forward, all[2:]},
		{"from the last", s, 4, eventstore.Forward, all[4:]},
		{"from beyond the end", s, 5, eventstore.Forward, nil},
		{"backward from the end", s, -1, eventstore.Backward, back},
		{"backward from the last", s, 4, eventstore.Backward, back},
		{"backward from beyond the end", s, 100, eventstore.Backward, back},
		{"backward from the middle", s, 2, eventstore.Backward, back[2:]},
		{"backward from the start", s, 0, eventstore.Backward, back[4:]},
		{"no stream", none, 0, eventstore.Forward, nil},
		{"no stream, backward", none, -1, eventstore.Backward, nil},
	} {
		tr.same(c.what, tr.read(c.stream, c.from, c.direction), c.want)
	}
}

func longStreams(tr *trial) {
	const batch, rounds = 500, 5
	s := tr.stream()
	var want envelopes
	for i := range rounds {
		want = append(want, tr.append(s, int64(i*batch-1), batch)...)
	}
	tr.same("the stream", tr.read(s, 0, eventstore.Forward), want)
	tr.same("the stream backward", tr.read(s, -1, eventstore.Backward), reversed(want))
	tr.same("the log", tr.all(), want)
	tr.same("the follower", tr.follow(tr.start, len(want)), want)
}

func stops(tr *trial) {
	s := tr.stream()
	want := tr.append(s, eventstore.NoStream, 20)
	forward := tr.log.ReadStream(tr.Context(), s, 3, eventstore.Forward)
	all := tr.log.ReadAll(tr.Context(), want[2].Position)
	for range 3 {
		for e, err := range forward {
			tr.must(err)
			if e.Version == 10 {
				break
			}
		}
		tr.same("the stream", tr.collect(forward), want[3:])
		for e, err := range all {
			tr.must(err)
			if e.Version == 10 {
				break
			}
		}
		tr.same("the log", tr.collect(all), want[3:])
	}
}

func findsPositions(tr *trial) {
	all := append(tr.append(tr.stream(), eventstore.NoStream, 4), tr.append(tr.stream(), eventstore.NoStream, 1)...)
	for _, want := range all {
		got, found, err := eventstore.ReadAt(tr.Context(), tr.log, want.Position)
		tr.must(err)
		if !found {
			tr.Fatalf("no event is found at position %d", want.Position)
		}
		tr.same("the event at its position", envelopes{got}, envelopes{want})
	}
	elsewhere := []eventstore.Position{0, tr.head() + 1, tr.head() + 1000}
	if tr.Sparse {
		elsewhere = append(elsewhere, all[0].Position+1)
	}
	for _, at := range elsewhere {
		if env, found, err := eventstore.ReadAt(tr.Context(), tr.log, at); found || err != nil {
			tr.Errorf("at position %d stands %s (%v)", at, env.Type, err)
		}
	}
}

func readsUpToHead(tr *trial) {
	s := tr.stream()
	want := tr.append(s, eventstore.NoStream, 3)
	var got envelopes
	for e, err := range tr.log.ReadAll(tr.Context(), tr.start) {
		tr.must(err)
		got = append(got, e)
		tr.append(s, int64(len(got)+1), 1)
		if len(got) > 3 {
			break
		}
	}
	tr.same("the log", got, want)
	tr.same("the rest", tr.collect(tr.log.ReadAll(tr.Context(), want[2].Position))[:1], tr.read(s, 3, eventstore.Forward)[:1])
	tr.same("nothing", tr.collect(tr.log.ReadAll(tr.Context(), tr.head())), nil)
}

func readsDuringWriting(tr *trial) {
	const rounds = 150
	s := tr.stream()
	written := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(written)
		for i := range rounds {
			if err := tr.log.Append(tr.Context(), s, int64(2*i-1), some(2)); err != nil {
				tr.Error(err)
				return
			}
		}
	})
	for done := false; !done; {
		select {
		case <-written:
			done = true
		default:
		}
		tr.dense(tr.read(s, 0, eventstore.Forward))
		back := tr.read(s, -1, eventstore.Backward)
		slices.Reverse(back)
		tr.dense(back)
		tr.ordered(tr.start, tr.all())
	}
	all.Wait()
	if n := len(tr.all()); n != 2*rounds {
		tr.Errorf("the log has %d events, want %d", n, 2*rounds)
	}
}

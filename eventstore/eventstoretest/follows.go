package eventstoretest

import (
	"context"
	"sync"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

func follows(tr *trial) {
	s := tr.stream()
	want := tr.append(s, eventstore.NoStream, 3)
	ctx, cancel := context.WithTimeout(tr.Context(), patience)
	defer cancel()
	var got envelopes
	for batch, err := range tr.log.Follow(ctx, tr.start) {
		tr.must(err)
		if len(batch) == 0 {
			tr.Fatal("an empty batch")
		}
		if got = append(got, batch...); len(got) >= 12 {
			break
		}
		if len(got) == len(want) { // all that there is: now comes the future
			want = append(want, tr.append(s, int64(len(want)-1), 1+len(want)%3)...)
		}
	}
	tr.same("the follower", got, want)
}

func followsTheDurable(tr *trial) {
	const rounds = 100
	s := tr.stream()
	var all sync.WaitGroup
	all.Go(func() {
		for i := range rounds {
			if err := tr.log.Append(tr.Context(), s, int64(i-1), some(1)); err != nil {
				tr.Error(err)
				return
			}
		}
	})
	defer all.Wait()
	ctx, cancel := context.WithTimeout(tr.Context(), patience)
	defer cancel()
	for batch, err := range tr.log.Follow(ctx, tr.start) {
		tr.must(err)
		last := batch[len(batch)-1]
		if head := tr.head(); head < last.Position {
			tr.Fatalf("the follower saw %d, but the head is %d", last.Position, head)
		}
		tr.same("the event in its stream", tr.read(s, last.Version, eventstore.Forward)[:1], envelopes{last})
		if last.Version == rounds-1 {
			return
		}
	}
	tr.Error("the follower ended early")
}

func followsFromTheMiddle(tr *trial) {
	s := tr.stream()
	all := tr.append(s, eventstore.NoStream, 4)
	for i := range all[:3] {
		tr.same("the follower", tr.follow(all[i].Position, 3-i), all[i+1:])
	}
	// After the head there is only the future.
	got := make(chan envelopes)
	go func() { got <- tr.follow(all[3].Position, 2) }()
	future := append(tr.append(s, 3, 1), tr.append(s, 4, 1)...)
	tr.same("the follower of the future", <-got, future)
}

func followsTogether(tr *trial) {
	const followers, events = 5, 60
	var all sync.WaitGroup
	seen := make([]envelopes, followers)
	for f := range followers {
		all.Go(func() {
			seen[f] = tr.follow(tr.start, events)
			for i := range seen[f] { // what a follower does to its envelopes is its own affair
				seen[f][i].Type += "!"
			}
		})
	}
	s := tr.stream()
	var want envelopes
	for i := range events {
		want = append(want, tr.append(s, int64(i-1), 1)...)
	}
	all.Wait()
	for i := range want {
		want[i].Type += "!"
	}
	for _, got := range seen {
		tr.same("a follower", got, want)
	}
}

func followsWriters(tr *trial) {
	const writers, rounds = 8, 60
	var all sync.WaitGroup
	for range writers {
		s := tr.stream()
		all.Go(func() {
			for i := range rounds {
				if err := tr.log.Append(tr.Context(), s, int64(i-1), some(1)); err != nil {
					tr.Error(err)
					return
				}
			}
		})
	}
	early := tr.follow(tr.start, writers*rounds)
	all.Wait()
	tr.same("the follower", early, tr.all())
	tr.ordered(tr.start, early)
	tr.same("the late follower", tr.follow(tr.start, writers*rounds), early)
}

func followEnds(tr *trial) {
	tr.append(tr.stream(), eventstore.NoStream, 1)
	ctx, cancel := context.WithCancel(tr.Context())
	ended := make(chan int)
	go func() {
		n := 0
		for batch, err := range tr.log.Follow(ctx, tr.start) {
			if err != nil {
				tr.Error(err)
			}
			n += len(batch)
			cancel()
		}
		ended <- n
	}()
	if n := <-ended; n != 1 {
		tr.Errorf("the follower saw %d events, want 1", n)
	}
	for _, err := range tr.log.Follow(ctx, tr.start) {
		tr.Errorf("a follower whose context has ended saw something, or %v", err)
	}
}

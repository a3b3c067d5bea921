package eventstoretest

import (
	"context"
	"errors"
	"sync"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

func contexts(tr *trial) {
	s := tr.stream()
	want := tr.append(s, eventstore.NoStream, 3)
	ctx, cancel := context.WithCancel(tr.Context())
	cancel()
	check := func(what string, err error) {
		if !errors.Is(err, context.Canceled) {
			tr.Errorf("%s: %v, want %v", what, err, context.Canceled)
		}
	}
	check("append", tr.log.Append(ctx, s, 2, some(1)))
	check("read a stream", firstError(tr.log.ReadStream(ctx, s, 0, eventstore.Forward)))
	check("read all", firstError(tr.log.ReadAll(ctx, tr.start)))
	_, err := tr.log.Head(ctx)
	check("head", err)
	tr.same("the log", tr.all(), want)
	tr.append(s, 2, 1)
}

func firstError(seq func(func(eventstore.Envelope, error) bool)) error {
	for _, err := range seq {
		return err
	}
	return errors.New("nothing was read, and no error")
}

// leavers append and walk away at any moment. A batch of theirs is there wholly or not at all, and the log
// goes on.
func leavers(tr *trial) {
	const writers, rounds, size = 8, 40, 3
	acknowledged := make([]int, writers)
	streams := make([]eventstore.Stream, writers)
	var all sync.WaitGroup
	for w := range writers {
		streams[w] = tr.stream()
		all.Go(func() {
			for range rounds {
				ctx, cancel := context.WithCancel(tr.Context())
				go cancel()
				n := len(tr.read(streams[w], 0, eventstore.Forward))
				switch err := tr.log.Append(ctx, streams[w], int64(n-1), some(size)); {
				case err == nil:
					acknowledged[w] += size
				case !errors.Is(err, context.Canceled) && !errors.Is(err, eventstore.ErrConflict):
					tr.Error(err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	for w, s := range streams {
		tr.must(tr.next(tr.Context(), s, event(0)))
		events := tr.read(s, 0, eventstore.Forward)
		tr.dense(events)
		if n := len(events) - 1; n%size != 0 || n < acknowledged[w] {
			tr.Errorf("the stream has %d events: want whole batches of %d, and the %d acknowledged", n, size, acknowledged[w])
		}
	}
}

func closes(tr *trial) {
	s := tr.stream()
	tr.append(s, eventstore.NoStream, 2)
	following, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var last error
		for batch, err := range tr.log.Follow(tr.Context(), tr.start) {
			if last = err; len(batch) > 0 {
				close(following)
			}
		}
		ended <- last
	}()
	<-following
	tr.must(tr.log.Close())
	tr.must(tr.log.Close())
	_, headErr := tr.log.Head(tr.Context())
	var followErr error
	for _, err := range tr.log.Follow(tr.Context(), tr.start) {
		followErr = err
	}
	for what, err := range map[string]error{
		"append":                tr.log.Append(tr.Context(), s, 1, some(1)),
		"read a stream":         firstError(tr.log.ReadStream(tr.Context(), s, 0, eventstore.Forward)),
		"read all":              firstError(tr.log.ReadAll(tr.Context(), tr.start)),
		"head":                  headErr,
		"follow":                followErr,
		"a follower at the end": <-ended,
	} {
		if !errors.Is(err, eventstore.ErrClosed) {
			tr.Errorf("%s: %v, want %v", what, err, eventstore.ErrClosed)
		}
	}
}

func closesUnderLoad(tr *trial) {
	const writers = 8
	streams := make([]eventstore.Stream, writers)
	acknowledged := make([]envelopes, writers)
	var all, started sync.WaitGroup
	for w := range writers {
		streams[w] = tr.stream()
		started.Add(1)
		all.Go(func() {
			for i := 0; ; i++ {
				events := some(1)
				if err := tr.log.Append(tr.Context(), streams[w], int64(i-1), events); err != nil {
					if !errors.Is(err, eventstore.ErrClosed) {
						tr.Error(err)
					}
					return
				}
				if acknowledged[w] = append(acknowledged[w], events...); i == 5 {
					started.Done()
				}
			}
		})
	}
	started.Wait()
	tr.must(tr.log.Close())
	all.Wait()
	tr.log = tr.Open(tr.T, tr.place)
	for w, s := range streams {
		events := tr.read(s, 0, eventstore.Forward)
		tr.dense(events)
		tr.same("what was acknowledged", events[:len(acknowledged[w])], acknowledged[w])
	}
}

func reopens(tr *trial) {
	s := tr.stream()
	want := tr.append(s, eventstore.NoStream, 3)
	for range 3 {
		tr.must(tr.log.Close())
		tr.log = tr.Open(tr.T, tr.place)
		if head := tr.head(); head != want[len(want)-1].Position {
			tr.Errorf("the head is %d, want %d", head, want[len(want)-1].Position)
		}
		tr.same("the log", tr.all(), want)
		tr.same("the follower", tr.follow(tr.start, len(want)), want)
		tr.conflict(s, eventstore.NoStream, some(1))
		tr.must(tr.log.Append(tr.Context(), s, eventstore.NoStream, want[:1]))
		want = append(want, tr.append(s, int64(len(want)-1), 2)...)
		tr.ordered(tr.start, want)
	}
	tr.same("the log", tr.all(), want)
}

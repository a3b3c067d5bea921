package eventstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
)

// An account counts what was added to it, and remembers every addition.
type account struct {
	Sum  int
	Seen []string
	At   time.Time
}

type added struct {
	N  int
	By string
}

func (a account) evolve(e added, at time.Time) account {
	a.Sum += e.N
	a.Seen = append(a.Seen[:len(a.Seen):len(a.Seen)], e.By)
	a.At = at
	return a
}

// jsonCodec keeps all in the open.
type jsonCodec struct{}

func (jsonCodec) Encode(env eventstore.Envelope, e added) (eventstore.Envelope, error) {
	if e.N < 0 {
		return env, errors.New("cannot be encoded")
	}
	var err error
	env.Type = "account.added"
	env.Data, err = json.Marshal(e)
	return env, err
}

func (jsonCodec) Decode(env eventstore.Envelope) (e added, err error) {
	return e, json.Unmarshal(env.Data, &e)
}

type accounts = eventstore.Repository[account, added]

// counted tells how often a log was read and appended to.
type counted struct {
	eventstore.Log
	reads, appends atomic.Int64
}

func (c *counted) ReadStream(ctx context.Context, s eventstore.Stream, from int64, d eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	c.reads.Add(1)
	return c.Log.ReadStream(ctx, s, from, d)
}

func (c *counted) Append(ctx context.Context, s eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	c.appends.Add(1)
	return c.Log.Append(ctx, s, expected, events)
}

func openLog(t *testing.T) *counted {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return &counted{Log: log}
}

func repository(log eventstore.Log) *accounts {
	return &accounts{Log: log, Codec: jsonCodec{}, Kind: "account", Fold: account.evolve}
}

func add(by string) func(account, time.Time) ([]added, error) {
	return func(account, time.Time) ([]added, error) { return []added{{1, by}}, nil }
}

func update(t *testing.T, r *accounts, id string, n int) {
	t.Helper()
	for i := range n {
		if _, err := r.Update(t.Context(), id, eventstore.Meta{}, add(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, r *accounts, id string, sum int) account {
	t.Helper()
	a, version, err := r.Load(t.Context(), id)
	if err != nil || a.Sum != sum || version != int64(sum-1) {
		t.Fatalf("loaded %d@%d (%v), want %d@%d", a.Sum, version, err, sum, sum-1)
	}
	return a
}

func TestUpdate(t *testing.T) {
	log := openLog(t)
	now := time.Date(2026, 11, 22, 9, 0, 0, 123456789, time.FixedZone("", 3600))
	r := repository(log)
	r.Now = func() time.Time { return now }
	meta := eventstore.Meta{
		Actor:       eventstore.Actor{Kind: eventstore.ByOperator, ID: "ada"},
		Correlation: eventstore.NewUUID(), Causation: eventstore.NewUUID(), Evidence: []byte("as received"),
	}
	change, err := r.Update(t.Context(), "a", meta, func(a account, at time.Time) ([]added, error) {
		if a.Sum != 0 || !at.Equal(now.Truncate(time.Microsecond)) || at.Location() != time.UTC {
			t.Errorf("decide was given %+v at %s", a, at)
		}
		return []added{{1, "x"}, {2, "y"}}, nil
	})
	if err != nil || change.State.Sum != 3 || change.Version != 1 || len(change.Events) != 2 || change.Position != 2 {
		t.Errorf("the change is %+v (%v)", change, err)
	}
	n := 0
	for env, err := range log.ReadStream(t.Context(), eventstore.Stream{Kind: "account", ID: "a"}, 0, eventstore.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		if env.Actor != meta.Actor || env.Correlation != meta.Correlation || env.Causation != meta.Causation {
			t.Errorf("event %d has not the meta: %+v", n, env)
		}
		if (len(env.Evidence) > 0) != (n == 0) {
			t.Errorf("event %d has evidence %q", n, env.Evidence)
		}
		n++
	}
	if n != 2 {
		t.Errorf("the stream has %d events", n)
	}
}

func TestUpdateThatDecidesNothing(t *testing.T) {
	log := openLog(t)
	r := repository(log)
	update(t, r, "a", 3)
	before := log.appends.Load()
	change, err := r.Update(t.Context(), "a", eventstore.Meta{}, func(account, time.Time) ([]added, error) { return nil, nil })
	if err != nil || change.State.Sum != 3 || change.Version != 2 || change.Position != 0 {
		t.Errorf("the change is %+v (%v)", change, err)
	}
	refusal := errors.New("no")
	if _, err := r.Update(t.Context(), "a", eventstore.Meta{}, func(account, time.Time) ([]added, error) { return []added{{1, ""}}, refusal }); err != refusal {
		t.Errorf("the refusal came as %v", err)
	}
	if _, err := r.Update(t.Context(), "a", eventstore.Meta{}, func(account, time.Time) ([]added, error) { return []added{{-1, ""}}, nil }); err == nil {
		t.Error("an event was taken that cannot be encoded")
	}
	if n := log.appends.Load(); n != before {
		t.Errorf("%d appends were made", n-before)
	}
	load(t, r, "a", 3)
}

// Everybody adds to the same few accounts, by several repositories, over a log with bad days: nothing is lost that
// was acknowledged, and nothing is there twice.
func TestConcurrentUpdates(t *testing.T) {
	const writers, rounds = 8, 40
	log := &eventstoretest.Flaky{Log: openLog(t), Seed: 7, Conflicts: 6, Failures: 20, Losses: 20, Breaks: 30}
	repositories := []*accounts{repository(log), repository(log)}
	repositories[1].CacheSize = -1
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			r := repositories[w%2]
			for i := range rounds {
				addOnce(t, r, fmt.Sprint(i%3), fmt.Sprintf("%d/%d", w, i))
			}
		})
	}
	all.Wait()
	total := 0
	for i := range 3 {
		a := loadAtLast(t, repository(log), fmt.Sprint(i))
		times := map[string]int{}
		for _, by := range a.Seen {
			times[by]++
		}
		for by, n := range times {
			if n != 1 {
				t.Errorf("%s was added %d times", by, n)
			}
		}
		total += a.Sum
	}
	if total != writers*rounds {
		t.Errorf("the sum is %d, want %d", total, writers*rounds)
	}
}

// addOnce tries until it succeeds. A decision that sees itself done already decides nothing.
func addOnce(t *testing.T, r *accounts, id, by string) {
	for {
		change, err := r.Update(t.Context(), id, eventstore.Meta{}, func(a account, _ time.Time) ([]added, error) {
			for _, seen := range a.Seen {
				if seen == by {
					return nil, nil
				}
			}
			return []added{{1, by}}, nil
		})
		if err == nil {
			if int64(change.State.Sum-1) != change.Version {
				t.Errorf("the sum is %d at version %d", change.State.Sum, change.Version)
			}
			return
		}
		if !errors.Is(err, eventstoretest.ErrBadLuck) {
			t.Error(err)
			return
		}
	}
}

func loadAtLast(t *testing.T, r *accounts, id string) account {
	t.Helper()
	for {
		a, _, err := r.Load(t.Context(), id)
		if err == nil {
			return a
		}
		if !errors.Is(err, eventstoretest.ErrBadLuck) {
			t.Fatal(err)
		}
	}
}

func TestUpdateDecidesAnew(t *testing.T) {
	log := openLog(t)
	mine, other := repository(log), repository(log)
	update(t, mine, "a", 1)
	var saw []int
	change, err := mine.Update(t.Context(), "a", eventstore.Meta{}, func(a account, _ time.Time) ([]added, error) {
		if saw = append(saw, a.Sum); len(saw) == 1 {
			update(t, other, "a", 2)
		}
		return []added{{1, "mine"}}, nil
	})
	if err != nil || change.State.Sum != 4 || fmt.Sprint(saw) != "[1 3]" {
		t.Errorf("the sum is %d (%v), and decide saw %v", change.State.Sum, err, saw)
	}
}

func TestUpdateGivesUp(t *testing.T) {
	log := &eventstoretest.Flaky{Log: openLog(t), Conflicts: 1}
	_, err := repository(log).Update(t.Context(), "a", eventstore.Meta{}, add("x"))
	if !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("the update: %v, want a conflict", err)
	}
}

func TestLostAnswer(t *testing.T) {
	log := &eventstoretest.Flaky{Log: openLog(t), Losses: 1}
	r := repository(log)
	if _, err := r.Update(t.Context(), "a", eventstore.Meta{}, add("x")); !errors.Is(err, eventstoretest.ErrBadLuck) {
		t.Errorf("the update: %v, want bad luck", err)
	}
	load(t, r, "a", 1) // not what was thought before
}

func TestCacheReadsNothingTwice(t *testing.T) {
	log := openLog(t)
	r := repository(log)
	update(t, r, "a", 5)
	load(t, r, "a", 5)
	if n := log.reads.Load(); n != 1 {
		t.Errorf("the stream was read %d times, want once", n)
	}
	none := repository(log)
	none.CacheSize = -1
	load(t, none, "a", 5)
	load(t, none, "a", 5)
	if n := log.reads.Load(); n != 3 {
		t.Errorf("without a cache the stream was read %d times, want twice", n-1)
	}
}

func TestCacheStaysWithinItsBound(t *testing.T) {
	log := openLog(t)
	r := repository(log)
	r.Size, r.CacheSize = func(account) int { return 100 }, 1000
	for i := range 50 {
		update(t, r, fmt.Sprint(i), 1)
	}
	before := log.reads.Load()
	for i := range 50 {
		load(t, r, fmt.Sprint(49-i), 1)
	}
	if n := log.reads.Load() - before; n != 40 {
		t.Errorf("%d of 50 were read, want 40: ten are kept", n)
	}
}

package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestCacheForgetsTheLeastRecent(t *testing.T) {
	c := newCache[string](30)
	for _, id := range []string{"a", "b", "c"} {
		c.put(id, entry[string]{id, 0}, 10)
	}
	c.get("a")
	c.put("d", entry[string]{"d", 0}, 10)
	for id, want := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		if _, ok := c.get(id); ok != want {
			t.Errorf("%s is kept: %v, want %v", id, ok, want)
		}
	}
}

func TestCacheKeepsTheNewest(t *testing.T) {
	c := newCache[string](100)
	c.put("a", entry[string]{"new", 5}, 10)
	c.put("a", entry[string]{"old", 4}, 10)
	if e, _ := c.get("a"); e.state != "new" {
		t.Errorf("a slow reader put %q in the place of the new state", e.state)
	}
}

func TestCacheTakesNothingReadBeforeADrop(t *testing.T) {
	c := newCache[string](100)
	mark := c.mark()
	c.drop("a")
	c.putSince(mark, "a", entry[string]{"stale", 4}, 10)
	if _, ok := c.get("a"); ok {
		t.Error("a state is kept that was read before the drop")
	}
	c.putSince(c.mark(), "a", entry[string]{"fresh", 5}, 10)
	if e, _ := c.get("a"); e.state != "fresh" {
		t.Errorf("kept %q, want the fresh state", e.state)
	}
}

func TestCacheIsNotDrivenOutByOne(t *testing.T) {
	c := newCache[string](30)
	c.put("a", entry[string]{"a", 0}, 10)
	c.put("huge", entry[string]{"huge", 0}, 31)
	if _, ok := c.get("a"); !ok {
		t.Error("a state larger than the cache drove out another")
	}
	if _, ok := c.get("huge"); ok || c.used != 10 {
		t.Errorf("the huge state is kept: %v, and %d bytes are used", ok, c.used)
	}
}

// Whatever is done to it, the cache stays within its bound and counts its bytes rightly.
func TestCacheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(-1, 100).Draw(t, "bound")
		c := newCache[int](bound)
		versions := map[string]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "id")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				c.drop(id)
			case 1:
				if e, ok := c.get(id); ok && e.version > versions[id] {
					t.Fatalf("%s has version %d, but %d is the newest put", id, e.version, versions[id])
				}
			default:
				v := rapid.Int64Range(0, 9).Draw(t, "version")
				versions[id] = max(versions[id], v)
				c.put(id, entry[int]{version: v}, rapid.IntRange(1, 60).Draw(t, "size"))
			}
			used := 0
			for el := c.order.Front(); el != nil; el = el.Next() {
				used += el.Value.(*kept[int]).size
			}
			if used != c.used || used > max(bound, 0) || c.order.Len() != len(c.byID) {
				t.Fatalf("%d bytes are used and %d counted, of %d; %d in order, %d by id", used, c.used, bound, c.order.Len(), len(c.byID))
			}
		}
	})
}

func TestLocks(t *testing.T) {
	l := newLocks()
	counts := make([]int, 3)
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			unlock, err := l.lock(t.Context(), fmt.Sprint(i%3))
			if err != nil {
				t.Error(err)
				return
			}
			counts[i%3]++ // the race detector sees it if two hold the lock
			unlock()
		})
	}
	all.Wait()
	if counts[0] != 20 || len(l.byID) != 0 {
		t.Errorf("counted %v, and %d locks are left", counts, len(l.byID))
	}
}

func TestLockEndsWithItsContext(t *testing.T) {
	l := newLocks()
	unlock, err := l.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := l.lock(ctx, "a")
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the lock: %v, want %v", err, context.Canceled)
	}
	if other, err := l.lock(t.Context(), "b"); err != nil {
		t.Error(err)
	} else {
		other()
	}
	unlock()
	if len(l.byID) != 0 {
		t.Errorf("%d locks are left", len(l.byID))
	}
}

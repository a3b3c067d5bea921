package eventstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Who shares streams with others sees what they have done, even if nothing follows from it, and refuses nothing for a reason
// that has passed.
func TestSharedStreamsAreLookedAtBeforeNothingIsDone(t *testing.T) {
	log := openLog(t)
	one, other := repository(log), repository(log)
	one.Shared, other.Shared = true, true
	update(t, one, "a", 1)
	update(t, other, "a", 1)
	errSmall := errors.New("too small")
	change, err := one.Update(t.Context(), "a", eventstore.Meta{}, func(a account, _ time.Time) ([]added, error) {
		if a.Sum < 2 {
			return nil, errSmall
		}
		return nil, nil
	})
	if err != nil || change.State.Sum != 2 || change.Version != 1 {
		t.Errorf("%+v, %v: want the sum of both", change, err)
	}
	_, err = one.Update(t.Context(), "a", eventstore.Meta{}, func(account, time.Time) ([]added, error) { return nil, errSmall })
	if !errors.Is(err, errSmall) {
		t.Errorf("the refusal came as %v", err)
	}
	before := log.reads.Load()
	alone := repository(log)
	update(t, alone, "b", 1)
	for range 3 {
		if _, err := alone.Update(t.Context(), "b", eventstore.Meta{}, func(account, time.Time) ([]added, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := log.reads.Load() - before; n != 1 {
		t.Errorf("who is alone read %d times, want once", n)
	}
}

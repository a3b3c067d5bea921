package eventstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// An erasing codec seals nothing for a while, as for a subject whose keys somebody destroyed.
type erasingCodec struct {
	eventstore.Codec[added]
	seal func() error
}

func (c erasingCodec) Encode(env eventstore.Envelope, e added) (eventstore.Envelope, error) {
	if err := c.seal(); err != nil {
		return env, err
	}
	return c.Codec.Encode(env, e)
}

// Who cannot seal because somebody else has just written decides anew; who cannot for another reason says so.
func TestWhatCannotBeSealedBecauseTheStreamHasMovedOnIsDecidedAnew(t *testing.T) {
	log := openLog(t)
	one, other := repository(log), repository(log)
	one.Shared, other.Shared = true, true
	update(t, one, "a", 1)
	errGone := errors.New("the keys were destroyed")
	moved := false
	one.Codec = erasingCodec{one.Codec, func() error {
		if moved {
			return nil
		}
		moved = true
		update(t, other, "a", 1)
		return errGone
	}}
	change, err := one.Update(t.Context(), "a", eventstore.Meta{}, func(a account, _ time.Time) ([]added, error) { return []added{{N: 1}}, nil })
	if err != nil || change.State.Sum != 3 || change.Version != 2 {
		t.Errorf("%+v, %v: want the sum of three", change, err)
	}
	one.Codec = erasingCodec{one.Codec, func() error { return errGone }}
	if _, err := one.Update(t.Context(), "a", eventstore.Meta{}, func(account, time.Time) ([]added, error) { return []added{{N: 1}}, nil }); !errors.Is(err, errGone) {
		t.Errorf("it says %v", err)
	}
}

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
	update(t, other, "a", 1)
	if now, version, err := one.Current(t.Context(), "a"); err != nil || now.Sum != 3 || version != 2 {
		t.Errorf("%+v in version %d, %v: want the sum of three", now, version, err)
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

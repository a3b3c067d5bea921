package seal_test

import (
	"errors"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// An event of a user's whose type was sealed for the device at first opens, whoever it was sealed for.
func TestWhatWasSealedForTheStreamBeforeStillOpens(t *testing.T) {
	keys := &seal.MemoryKeyring{}
	codec := newCodec(keys)
	env := envelope()
	env.Evidence = []byte("what the user sent")
	old := must[eventstore.Envelope](t)(codec.Encode(env, device.Seen{Polls: 1}))
	now := must[eventstore.Envelope](t)(codec.Encode(env, device.Seen{Channel: "u", Polls: 1}))
	old.Data = now.Data // as it was written then: the channel named, and sealed for the device
	for what, one := range map[string]eventstore.Envelope{"before": old, "now": now} {
		if plain, err := codec.Evidence(one); err != nil || string(plain) != "what the user sent" {
			t.Errorf("%s: %q, %v", what, plain, err)
		}
		if actor, err := codec.DecodeActor(one); err != nil || actor.Address != env.Actor.Address {
			t.Errorf("%s: %+v, %v", what, actor, err)
		}
	}
	if err := keys.Erase(t.Context(), seal.Subject{Stream: env.Stream, Within: "u"}, env.Version); err != nil {
		t.Fatal(err)
	}
	if plain, err := codec.Evidence(now); err != nil || plain != nil {
		t.Errorf("of a user who was erased: %q, %v", plain, err)
	}
	if _, err := codec.PartKey(now, seal.Evidence); !errors.Is(err, seal.ErrAbsent) {
		t.Errorf("its key: %v, want ErrAbsent", err)
	}
}

package seal_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// full returns an event that has every part.
func full(t testing.TB, codec *seal.Codec[domain.Event], given eventstore.Envelope) eventstore.Envelope {
	given.Evidence = apps(2000)
	return must[eventstore.Envelope](t)(codec.Encode(given, device.TokenUpdated{
		Topic: "t", Token: []byte("token"), PushMagic: "magic", UnlockToken: []byte("unlock"),
	}))
}

// opens opens all parts of an event, and returns the first error.
func opens(codec *seal.Codec[domain.Event], env eventstore.Envelope) error {
	_, err := codec.Decode(env)
	if _, err2 := codec.Evidence(env); err == nil {
		err = err2
	}
	return err
}

func TestAnAlteredByteIsFound(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	env := full(t, codec, envelope())
	for _, part := range []*[]byte{&env.Personal, &env.Secret, &env.Evidence} {
		whole := *part
		for i := range whole {
			*part = slices.Clone(whole)
			(*part)[i] ^= 1
			if err := opens(codec, env); !errors.Is(err, seal.ErrBroken) {
				t.Fatalf("byte %d of %d altered: %v, want ErrBroken", i, len(whole), err)
			}
		}
		for n := 1; n < len(whole); n += 7 {
			*part = whole[:n]
			if err := opens(codec, env); !errors.Is(err, seal.ErrBroken) {
				t.Fatalf("cut to %d of %d bytes: %v, want ErrBroken", n, len(whole), err)
			}
		}
		*part = whole
	}
	if err := opens(codec, env); err != nil {
		t.Fatal(err)
	}
}

func TestAPartOpensInItsOwnEventOnly(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	env := full(t, codec, envelope())
	elsewhere := envelope()
	elsewhere.Stream.ID = "other"
	other := full(t, codec, elsewhere) // so that the other stream has keys
	next := env
	next.Version++
	twin := env
	twin.ID = eventstore.NewUUID()
	renamed := env
	renamed.Type = "device.authenticated"
	user := env
	user.Data = []byte(`{"Channel":"u","Topic":"t"}`)
	full(t, codec, envelope())
	must[eventstore.Envelope](t)(codec.Encode(envelope(), device.TokenUpdated{Channel: "u", PushMagic: "m"})) // so that the user has keys
	other.Personal, other.Secret, other.Evidence = env.Personal, env.Secret, env.Evidence
	for name, moved := range map[string]eventstore.Envelope{
		"stream": other, "version": next, "event": twin, "type": renamed, "user": user,
	} {
		for part, only := range map[string]eventstore.Envelope{
			"personal": {Personal: moved.Personal}, "secret": {Secret: moved.Secret}, "evidence": {Evidence: moved.Evidence},
		} {
			moved.Personal, moved.Secret, moved.Evidence = only.Personal, only.Secret, only.Evidence
			if err := opens(codec, moved); !errors.Is(err, seal.ErrBroken) {
				t.Errorf("the %s part in another %s: %v, want ErrBroken", part, name, err)
			}
		}
	}
	swapped := env
	swapped.Personal, swapped.Secret = env.Secret, env.Personal
	if err := opens(codec, swapped); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("parts exchanged: %v, want ErrBroken", err)
	}
}

func TestTheSameEventIsNeverSealedAlike(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	given := envelope()
	a, b := full(t, codec, given), full(t, codec, given)
	if string(a.Personal) == string(b.Personal) || string(a.Secret) == string(b.Secret) || string(a.Evidence) == string(b.Evidence) {
		t.Error("two sealings of one event are alike")
	}
}

func FuzzOpen(f *testing.F) {
	codec := newCodec(&seal.MemoryKeyring{})
	given := full(f, codec, envelope())
	f.Add([]byte(given.Data), given.Personal, given.Secret, given.Evidence)
	f.Add([]byte(`{"Channel":"u"}`), []byte{}, []byte("x"), make([]byte, 28))
	f.Add([]byte(`[`), given.Secret, given.Personal, given.Evidence[:40])
	f.Fuzz(func(t *testing.T, data, personal, secret, evidence []byte) {
		env := given
		env.Data, env.Personal, env.Secret, env.Evidence = data, personal, secret, evidence
		e, err := codec.Decode(env)
		if err != nil {
			return
		}
		if len(personal) > 0 && string(personal) != string(given.Personal) || len(secret) > 0 && string(secret) != string(given.Secret) {
			t.Errorf("sealed bytes that nobody sealed were opened as %+v", e)
		}
	})
}

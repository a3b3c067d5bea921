package seal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

var (
	_ eventstore.Codec[domain.Event] = (*seal.Codec[domain.Event])(nil)
	_ eventstore.Codec[domain.Event] = seal.Views[domain.Event]{}
)

func TestEveryEventComesBackAsItWas(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	for _, zero := range catalog.Events() {
		t.Run(zero.EventType(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				event := drawEvent(t, zero)
				env := envelope()
				env.Actor.Address = rapid.String().Draw(t, "address")
				env.Evidence = rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(t, "evidence")
				comesBack(t, codec, env, event)
			})
		})
	}
}

func comesBack(t *rapid.T, codec *seal.Codec[domain.Event], given eventstore.Envelope, event domain.Event) {
	env, err := codec.Encode(given, event)
	if err != nil {
		t.Fatal(err)
	}
	if env.Actor.Address != "" || env.Type != event.EventType() || !json.Valid(env.Data) {
		t.Fatalf("the envelope is %+v", env)
	}
	if got, err := codec.Decode(env); err != nil || !reflect.DeepEqual(got, event) {
		t.Fatalf("decoded %+v, %v\nwant %+v", got, err, event)
	}
	for _, actorOf := range []func(eventstore.Envelope) (eventstore.Actor, error){codec.DecodeActor, codec.Views().DecodeActor} {
		if actor, err := actorOf(env); err != nil || actor != given.Actor {
			t.Fatalf("the actor is %+v, %v, want %+v", actor, err, given.Actor)
		}
	}
	if got, err := codec.Evidence(env); err != nil || !bytes.Equal(got, given.Evidence) {
		t.Fatalf("the evidence is %q, %v, want %q", got, err, given.Evidence)
	}
}

func TestTheSubjectStandsInTheOpenPart(t *testing.T) {
	for _, zero := range catalog.Events() {
		s, ok := zero.(interface{ SealSubject() string })
		if !ok {
			continue
		}
		rapid.Check(t, func(t *rapid.T) {
			event := drawEvent(t, zero)
			v := reflect.New(reflect.TypeOf(event)).Elem()
			for i := range v.NumField() {
				if v.Type().Field(i).Tag.Get("seal") == "" {
					v.Field(i).Set(reflect.ValueOf(event).Field(i))
				}
			}
			s = v.Interface().(interface{ SealSubject() string })
			if want := event.(interface{ SealSubject() string }).SealSubject(); s.SealSubject() != want {
				t.Fatalf("%s: the open part says %q, the whole %q", zero.EventType(), s.SealSubject(), want)
			}
		})
	}
}

func TestWhatIsEmptyIsAbsent(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	for _, zero := range catalog.Events() {
		env := must[eventstore.Envelope](t)(codec.Encode(envelope(), zero))
		if env.Personal != nil || env.Secret != nil || env.Evidence != nil {
			t.Errorf("%s: nothing was sealed into something", zero.EventType())
		}
		if !bytes.HasPrefix(env.Data, []byte("{")) {
			t.Errorf("%s: the open part is %s, not an object", zero.EventType(), env.Data)
		}
	}
}

func TestUsersHaveKeysOfTheirOwn(t *testing.T) {
	keys := &seal.MemoryKeyring{}
	codec := newCodec(keys)
	given := envelope()
	own := must[eventstore.Envelope](t)(codec.Encode(given, device.TokenUpdated{Topic: "t", Token: []byte("own")}))
	users := must[eventstore.Envelope](t)(codec.Encode(given, device.TokenUpdated{Channel: "u", Topic: "t", Token: []byte("his")}))
	if err := keys.Destroy(t.Context(), given.Stream.String()+"/u"); err != nil {
		t.Fatal(err)
	}
	if e := must[domain.Event](t)(codec.Decode(own)); string(e.(device.TokenUpdated).Token) != "own" {
		t.Errorf("the device's event lost its token: %+v", e)
	}
	e := must[domain.Event](t)(codec.Decode(users)).(device.TokenUpdated)
	if e.Token != nil || e.Channel != "u" || e.Topic != "t" {
		t.Errorf("the erased user's event is %+v", e)
	}
}

func TestADestroyedSubjectIsAbsentAndTakesNothingNew(t *testing.T) {
	keys := &seal.MemoryKeyring{}
	codec := newCodec(keys)
	given := envelope()
	given.Evidence, given.Actor.Address = []byte("evidence"), "192.0.2.1"
	event := device.TokenUpdated{Topic: "t", Token: []byte("token"), UnlockToken: []byte("unlock")}
	env := must[eventstore.Envelope](t)(codec.Encode(given, event))
	if err := keys.Destroy(t.Context(), given.Stream.String()); err != nil {
		t.Fatal(err)
	}
	if e := must[domain.Event](t)(codec.Decode(env)); !reflect.DeepEqual(e, device.TokenUpdated{Topic: "t"}) {
		t.Errorf("decoded %+v", e)
	}
	if b := must[[]byte](t)(codec.Evidence(env)); b != nil {
		t.Errorf("the evidence is %q", b)
	}
	if a := must[eventstore.Actor](t)(codec.DecodeActor(env)); a.Address != "" {
		t.Errorf("the address is %q", a.Address)
	}
	if _, err := codec.PartKey(env, seal.Secret); !errors.Is(err, seal.ErrAbsent) {
		t.Errorf("PartKey: %v, want ErrAbsent", err)
	}
	if _, err := codec.Encode(given, event); !errors.Is(err, seal.ErrDestroyed) {
		t.Errorf("Encode: %v, want ErrDestroyed", err)
	}
	if _, err := codec.Encode(envelope(), device.CheckedOut{}); err != nil {
		t.Errorf("an event with nothing to seal: %v", err)
	}
}

func TestKeysThatAreMissingAreNoErasure(t *testing.T) {
	env := must[eventstore.Envelope](t)(newCodec(&seal.MemoryKeyring{}).Encode(envelope(), device.BootstrapTokenEscrowed{BootstrapToken: []byte("b")}))
	if _, err := newCodec(&seal.MemoryKeyring{}).Decode(env); !errors.Is(err, seal.ErrNoKeys) {
		t.Errorf("Decode: %v, want ErrNoKeys", err)
	}
}

func TestViewsSeeNoSecret(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	views := codec.Views()
	for _, zero := range catalog.Events() {
		rapid.Check(t, func(t *rapid.T) {
			event := drawEvent(t, zero)
			env, err := codec.Encode(envelope(), event)
			if err != nil {
				t.Fatal(err)
			}
			want := reflect.New(reflect.TypeOf(event)).Elem()
			want.Set(reflect.ValueOf(event))
			for i := range want.NumField() {
				if want.Type().Field(i).Tag.Get("seal") == "secret" {
					want.Field(i).SetZero()
				}
			}
			if got, err := views.Decode(env); err != nil || !reflect.DeepEqual(got, want.Interface()) {
				t.Fatalf("decoded %+v, %v\nwant %+v", got, err, want.Interface())
			}
			if got, err := views.DecodeIf(env, func(domain.Event) bool { return true }); err != nil || !reflect.DeepEqual(got, want.Interface()) {
				t.Fatalf("decoded, because it was wanted, %+v, %v\nwant %+v", got, err, want.Interface())
			}
			for i := range want.NumField() {
				if want.Type().Field(i).Tag.Get("seal") != "" {
					want.Field(i).SetZero()
				}
			}
			if got, err := views.DecodeIf(env, func(domain.Event) bool { return false }); err != nil || !reflect.DeepEqual(got, want.Interface()) {
				t.Fatalf("decoded in part %+v, %v\nwant %+v", got, err, want.Interface())
			}
		})
	}
	if _, err := views.Encode(envelope(), device.CheckedOut{}); err == nil {
		t.Error("a view wrote an event")
	}
	for m := range reflect.TypeOf(views).Methods() {
		if !strings.Contains("Decode DecodeIf DecodeActor Encode", m.Name) {
			t.Errorf("views can %s: can that open a secret?", m.Name)
		}
	}
}

func TestOneKeyOpensOnePart(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	given := envelope()
	given.Evidence, given.Actor.Address = []byte("<plist/>"), "192.0.2.1"
	env := must[eventstore.Envelope](t)(codec.Encode(given, device.TokenUpdated{Topic: "t", PushMagic: "m", UnlockToken: []byte("u")}))
	want := map[seal.Part]string{
		seal.Personal: `{"@actor":"192.0.2.1","PushMagic":"m"}`, seal.Secret: `{"UnlockToken":"dQ=="}`, seal.Evidence: "<plist/>",
	}
	for part := range want {
		key := must[[]byte](t)(codec.PartKey(env, part))
		for other, plain := range want {
			got, err := seal.OpenWith(key, env, other)
			if other == part && (err != nil || string(got) != plain) {
				t.Errorf("the %s part is %q, %v, want %q", part, got, err, plain)
			}
			if other != part && !errors.Is(err, seal.ErrBroken) {
				t.Errorf("the key of the %s part on the %s part: %q, %v", part, other, got, err)
			}
		}
	}
	if _, err := codec.PartKey(env, "all"); err == nil || errors.Is(err, seal.ErrAbsent) {
		t.Errorf("a part that no event has: %v", err)
	}
}

func TestUnknownFieldsAreLeftOut(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	env := envelope()
	env.Type, env.Data = "device.seen", json.RawMessage(`{"Polls":3,"Tomorrow":{"x":[1]}}`)
	if e := must[domain.Event](t)(codec.Decode(env)); e != (device.Seen{Polls: 3}) {
		t.Errorf("decoded %+v", e)
	}
}

func TestTheOpenPartFillsNoSealedField(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	env := envelope()
	env.Type, env.Data = "pushcert.stored", json.RawMessage(`{"Topic":"t","Key":"Zm9yZ2Vk","Certificate":"Zm9yZ2Vk"}`)
	if e := must[domain.Event](t)(codec.Decode(env)).(pushcert.Stored); e.Topic != "t" || e.Key != nil || e.Certificate != nil {
		t.Errorf("decoded %+v", e)
	}
}

// An Unlisted is an event that no catalogue lists.
type unlisted struct{}

func (unlisted) EventType() string { return "device.unlisted" }

func TestStrangersAreRefused(t *testing.T) {
	codec := newCodec(&seal.MemoryKeyring{})
	env := envelope()
	if _, err := codec.Encode(env, unlisted{}); err == nil {
		t.Error("an event was encoded that nobody listed")
	}
	if _, err := codec.Encode(env, nil); err == nil {
		t.Error("no event was encoded")
	}
	env.Type = "device.unlisted"
	if _, err := codec.Decode(env); err == nil {
		t.Error("an event was decoded that nobody listed")
	}
	env.Type, env.Data = "operator.token-created", json.RawMessage(`{"Name":"geheim","Expires":"geheim"}`)
	if _, err := codec.Decode(env); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("bad JSON: %v", err)
	}
	if e, err := codec.Decode(eventstore.Envelope{Type: operator.TokenRevoked{}.EventType()}); err != nil || e != (operator.TokenRevoked{}) {
		t.Errorf("an event without data: %+v, %v", e, err)
	}
}

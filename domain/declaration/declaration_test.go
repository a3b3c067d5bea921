package declaration_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
)

type events = []domain.Event

const passcode = "com.apple.configuration.passcode.settings"

func put(t *testing.T, declarationType, payload string) declaration.Put {
	t.Helper()
	happened, err := declaration.Declaration{}.Put(declarationType, json.RawMessage(payload), true, stamp)
	if err != nil || len(happened) != 1 {
		t.Fatalf("put %s: %v, %v", payload, happened, err)
	}
	return happened[0].(declaration.Put)
}

func fold(history events) (d declaration.Declaration) {
	for _, e := range history {
		d = d.Evolve(e, time.Time{})
	}
	return d
}

func TestDecisions(t *testing.T) {
	six := put(t, passcode, `{"RequirePasscode":true,"MinimumLength":6}`)
	eight := put(t, passcode, `{"RequirePasscode":true,"MinimumLength":8}`)
	labs, users := declaration.Assignment{Group: "labs"}, declaration.Assignment{Group: "labs", Users: true}
	for _, test := range []struct {
		name  string
		given events
		when  func(declaration.Declaration) (events, error)
		then  events
		no    domain.Reason
	}{
		{"a declaration is put", nil, func(d declaration.Declaration) (events, error) {
			return d.Put(passcode, json.RawMessage(`{"RequirePasscode":true,"MinimumLength":6}`), false, stamp)
		}, events{six}, 0},
		{"the same content, written otherwise, is no news", events{six}, func(d declaration.Declaration) (events, error) {
			return d.Put(passcode, json.RawMessage(` { "MinimumLength": 6, "RequirePasscode": true } `), false, stamp)
		}, nil, 0},
		{"another content is a change", events{six}, func(d declaration.Declaration) (events, error) {
			return d.Put(passcode, json.RawMessage(`{"MinimumLength":8,"RequirePasscode":true}`), false, stamp)
		}, events{eight}, 0},
		{"another type under the same identifier is refused", events{six}, func(d declaration.Declaration) (events, error) {
			return d.Put("com.apple.configuration.legacy", json.RawMessage(`{}`), false, stamp)
		}, nil, domain.Conflict},
		{"a withdrawn one may come back as another", events{six, declaration.Withdrawn{}}, func(d declaration.Declaration) (events, error) {
			return d.Put("com.apple.management.properties", json.RawMessage(`{}`), false, stamp)
		}, events{put(t, "com.apple.management.properties", `{}`)}, 0},
		{"a type that is none of Apple's is refused", nil, func(d declaration.Declaration) (events, error) {
			return d.Put("org.example.thing", json.RawMessage(`{}`), false, stamp)
		}, nil, domain.Invalid},
		{"a payload is an object", nil, func(d declaration.Declaration) (events, error) {
			return d.Put(passcode, json.RawMessage(`[]`), false, stamp)
		}, nil, domain.Invalid},
		{"a payload is one object", nil, func(d declaration.Declaration) (events, error) {
			return d.Put(passcode, json.RawMessage(`{}{}`), false, stamp)
		}, nil, domain.Invalid},
		{"an activation names configurations", nil, func(d declaration.Declaration) (events, error) {
			return d.Put("com.apple.activation.simple", json.RawMessage(`{"StandardConfigurations":[1]}`), false, stamp)
		}, nil, domain.Invalid},
		{"a payload is not too long", nil, func(d declaration.Declaration) (events, error) {
			return d.Put(passcode, json.RawMessage(`{"a":"`+strings.Repeat("x", 300_000)+`"}`), false, stamp)
		}, nil, domain.Invalid},
		{"a group gets it", events{six}, func(d declaration.Declaration) (events, error) { return d.Assign(labs) }, events{declaration.Assigned{Assignment: labs}}, 0},
		{"a group that has it already is no news", events{six, declaration.Assigned{Assignment: labs}},
			func(d declaration.Declaration) (events, error) { return d.Assign(labs) }, nil, 0},
		{"its users are others than its devices", events{six, declaration.Assigned{Assignment: labs}},
			func(d declaration.Declaration) (events, error) { return d.Assign(users) }, events{declaration.Assigned{Assignment: users}}, 0},
		{"what is not there is assigned to nobody", nil, func(d declaration.Declaration) (events, error) { return d.Assign(labs) }, nil, domain.NotFound},
		{"a group loses it", events{six, declaration.Assigned{Assignment: users}, declaration.Assigned{Assignment: labs}},
			func(d declaration.Declaration) (events, error) { return d.Unassign(labs) }, events{declaration.Unassigned{Assignment: labs}}, 0},
		{"a group that never had it loses nothing", events{six}, func(d declaration.Declaration) (events, error) { return d.Unassign(labs) }, nil, 0},
		{"it is withdrawn", events{six}, func(d declaration.Declaration) (events, error) { return d.Withdraw("old") }, events{declaration.Withdrawn{Reason: "old"}}, 0},
		{"it is withdrawn once", events{six, declaration.Withdrawn{}}, func(d declaration.Declaration) (events, error) { return d.Withdraw("") }, nil, domain.NotFound},
		{"one that comes back is assigned to nobody", events{six, declaration.Assigned{Assignment: labs}, declaration.Withdrawn{}, six},
			func(d declaration.Declaration) (events, error) { return d.Unassign(labs) }, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.when(fold(test.given))
			refusal, refused := domain.Refused(err)
			if refused != (test.no != 0) || refused && refusal.Reason != test.no || !refused && err != nil {
				t.Fatalf("refused with %v, want %v", err, test.no)
			}
			if len(got) != len(test.then) || len(got) > 0 && !reflect.DeepEqual(got, test.then) {
				t.Errorf("decided %v, want %v", got, test.then)
			}
		})
	}
}

func TestIdentifiers(t *testing.T) {
	for id, good := range map[string]bool{
		"org.example.passcode": true, "with space and %": true, "ü": true, strings.Repeat("x", 64): true,
		"": false, "a/b": false, "line\nend": false, strings.Repeat("x", 65): false, "rollcall.status": false,
	} {
		if err := declaration.CheckIdentifier(id); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestSecretsOfAPayloadAreMaskedForPeople(t *testing.T) {
	beta := put(t, "com.apple.configuration.softwareupdate.settings",
		`{"Beta":{"RequireProgram":{"Description":"tvOS","Token":"canary"},"OfferPrograms":[{"Description":"x","Token":"canary"}]},"Notifications":true}`)
	if want := `{"Beta":{"OfferPrograms":[{"Description":"x","Token":"` + command.Mask + `"}],"RequireProgram":{"Description":"tvOS","Token":"` + command.Mask + `"}},"Notifications":true}`; string(beta.Shown) != want {
		t.Errorf("shown as %s, want %s", beta.Shown, want)
	}
	if !strings.Contains(string(beta.Payload), "canary") {
		t.Error("the device would get the mask")
	}
}

// stamp is one whose key everybody knows.
func stamp(words ...string) string {
	mac := hmac.New(sha256.New, []byte("key"))
	for _, w := range words {
		_, _ = mac.Write([]byte(w + "\x00"))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// Logs of before hold plain hashes as tokens. They are honoured as they stand: what did not change is nothing new to devices.
func TestATokenOfBeforeStaysUntilTheContentChanges(t *testing.T) {
	const payload = `{"MinimumLength":6}`
	sum := sha256.Sum256([]byte(passcode + "\x00" + payload))
	d := fold(events{declaration.Put{Type: passcode, ServerToken: hex.EncodeToString(sum[:]), Payload: json.RawMessage(payload)}})
	if again, err := d.Put(passcode, json.RawMessage(payload), false, stamp); err != nil || len(again) > 0 {
		t.Errorf("the same content again: %v, %v", again, err)
	}
	changed, err := d.Put(passcode, json.RawMessage(`{"MinimumLength":7}`), false, stamp)
	if err != nil || len(changed) != 1 || changed[0].(declaration.Put).ServerToken != stamp(passcode, `{"MinimumLength":7}`) {
		t.Errorf("another content: %v, %v", changed, err)
	}
}

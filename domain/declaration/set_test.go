package declaration_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain/declaration"
)

func item(id, declarationType, payload string) declaration.Item {
	put, err := declaration.Declaration{}.Put(declarationType, json.RawMessage(payload), true, stamp)
	if err != nil {
		panic(err)
	}
	p := put[0].(declaration.Put)
	return declaration.Item{Identifier: id, Type: p.Type, ServerToken: p.ServerToken, Activates: p.Activates, Payload: p.Payload}
}

// able is what a client of today tells of itself, as far as these tests ask for it.
var able = declaration.ParseCapabilities(json.RawMessage(`{"supported-versions":["1.0.0"],"supported-payloads":{"declarations":{
	"activations":["com.apple.activation.simple"],"assets":["com.apple.asset.data"],"management":["com.apple.management.properties"],
	"configurations":["com.apple.configuration.passcode.settings","com.apple.configuration.management.status-subscriptions"]},
	"status-items":["device.operating-system.version","passcode.is-compliant","somebody.elses"]}}`))

func names(s declaration.Set) (all []string) {
	for _, i := range s.Items {
		all = append(all, i.Identifier)
	}
	return all
}

func TestASetHoldsWhatIsAssignedAndWhatMakesItWork(t *testing.T) {
	pass := item("pass", passcode, `{"RequirePasscode":true}`)
	own := item("mine", "com.apple.activation.simple", `{"StandardConfigurations":["pass"]}`)
	for _, test := range []struct {
		name     string
		assigned []declaration.Item
		client   declaration.Capabilities
		want     []string
	}{
		{"nothing assigned is nothing at all", nil, able, nil},
		{"a configuration gets an activation, and the status is asked for", []declaration.Item{pass}, able,
			[]string{"rollcall.activation.pass", "rollcall.activation.rollcall.status", "pass", "rollcall.status"}},
		{"a configuration that is activated by hand gets none", []declaration.Item{pass, own}, able,
			[]string{"mine", "rollcall.activation.rollcall.status", "pass", "rollcall.status"}},
		{"what the client cannot take is left out", []declaration.Item{pass, item("screen", "com.apple.configuration.screensharing.connection", `{}`)}, able,
			[]string{"rollcall.activation.pass", "rollcall.activation.rollcall.status", "pass", "rollcall.status"}},
		{"a client that has told nothing gets what every client knows", []declaration.Item{pass, item("about", "com.apple.management.properties", `{}`)}, declaration.Capabilities{},
			[]string{"rollcall.activation.rollcall.status", "rollcall.status", "about"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := names(declaration.NewSet(test.assigned, test.client)); !slices.Equal(got, test.want) {
				t.Errorf("the set is %v, want %v", got, test.want)
			}
		})
	}
}

func TestOnlyStatusThatTheClientCanTellIsAskedFor(t *testing.T) {
	one, found := declaration.NewSet([]declaration.Item{item("pass", passcode, `{}`)}, able).Find("configuration", "rollcall.status")
	text := string(one.Document())
	want := `"Payload":{"StatusItems":[{"Name":"device.operating-system.version"},{"Name":"passcode.is-compliant"}]}`
	if !found || !strings.Contains(text, want) {
		t.Errorf("%s, %v; want %s in it", text, found, want)
	}
}

func TestDocuments(t *testing.T) {
	set := declaration.NewSet([]declaration.Item{item("a b%", "com.apple.management.properties", `{"x":"<&>"}`)}, declaration.Capabilities{})
	changed := time.Date(2026, 1, 31, 12, 0, 0, 999, time.FixedZone("", 3600))
	if got, want := string(set.Tokens(changed)), `{"SyncTokens":{"DeclarationsToken":"`+set.Token+`","Timestamp":"2026-01-31T11:00:00Z"}}`; got != want {
		t.Errorf("the tokens are %s, want %s", got, want)
	}
	empty := declaration.NewSet(nil, able)
	if got, want := string(empty.Manifest()), `{"Declarations":{"Activations":[],"Assets":[],"Configurations":[],"Management":[]},"DeclarationsToken":"`+empty.Token+`"}`; got != want {
		t.Errorf("the manifest is %s, want %s", got, want)
	}
	token := stamp("com.apple.management.properties", `{"x":"<&>"}`)
	if got, want := string(set.Manifest()), `"Management":[{"Identifier":"a b%","ServerToken":"`+token+`"}]`; !strings.Contains(got, want) {
		t.Errorf("the manifest is %s, want %s in it", got, want)
	}
	one, found := set.Find("management", "a b%")
	got := string(one.Document())
	if want := `{"Identifier":"a b%","Payload":{"x":"<&>"},"ServerToken":"` + token + `","Type":"com.apple.management.properties"}`; !found || got != want {
		t.Errorf("the declaration is %s, want %s", got, want)
	}
	for _, ask := range [][2]string{{"configuration", "a b%"}, {"management", "a"}, {"", "a b%"}} {
		if _, found := set.Find(ask[0], ask[1]); found {
			t.Errorf("%v was found", ask)
		}
	}
}

func TestIdentifiersOfOurOwnAreNeverTooLong(t *testing.T) {
	set := declaration.NewSet([]declaration.Item{item(strings.Repeat("x", 64), passcode, `{}`), item(strings.Repeat("y", 64), passcode, `{}`)}, able)
	seen := map[string]bool{}
	for _, i := range set.Items {
		if len(i.Identifier) > 64 || seen[i.Identifier] {
			t.Errorf("%s is too long, or there twice", i.Identifier)
		}
		seen[i.Identifier] = true
	}
	if len(set.Items) != 6 {
		t.Errorf("the set is %v", names(set))
	}
}

// The token says whether two sets are the same, whatever the order in which they were put together.
func TestATokenChangesWithTheSetAlone(t *testing.T) {
	one := rapid.Custom(func(t *rapid.T) declaration.Item {
		return item(rapid.StringMatching(`[ab]{1,2}`).Draw(t, "id"), rapid.SampledFrom([]string{passcode, "com.apple.management.properties"}).Draw(t, "type"),
			rapid.SampledFrom([]string{`{}`, `{"x":1}`}).Draw(t, "payload"))
	})
	key := func(i declaration.Item) string { return i.Identifier }
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfNDistinct(one, 0, 4, key).Draw(t, "a")
		b := rapid.SliceOfNDistinct(one, 0, 4, key).Draw(t, "b")
		x, y := declaration.NewSet(a, able), declaration.NewSet(b, able)
		if again := declaration.NewSet(rapid.Permutation(a).Draw(t, "shuffled"), able); again.Token != x.Token {
			t.Fatalf("the order changed the token of %v", names(x))
		}
		if same := string(x.Manifest()) == string(y.Manifest()); same != (x.Token == y.Token) {
			t.Fatalf("%s\n%s", x.Manifest(), y.Manifest())
		}
	})
}

package eventstore_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestStreamNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := eventstore.Stream{Kind: rapid.StringMatching("[a-z]+").Draw(t, "kind"), ID: rapid.String().Draw(t, "id")}
		if got, err := eventstore.ParseStream(s.String()); err != nil || got != s {
			t.Fatalf("%q is read as %q (%v)", s, got, err)
		}
	})
	for _, bad := range []string{"", "device", "-", "-a"} {
		if s, err := eventstore.ParseStream(bad); err == nil {
			t.Errorf("%q is read as %q", bad, s)
		}
	}
}

func TestUUIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u eventstore.UUID
		copy(u[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		for _, text := range []string{u.String(), strings.ToLower(u.String())} {
			if got, err := eventstore.ParseUUID(text); err != nil || got != u {
				t.Fatalf("%q is read as %q (%v)", text, got, err)
			}
		}
		var back eventstore.UUID
		text, err := json.Marshal(u)
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != u {
			t.Fatalf("%q comes back from JSON as %q (%v)", u, back, err)
		}
	})
	if u := eventstore.NewUUID(); u.String()[14] != '4' || u == eventstore.NewUUID() {
		t.Errorf("%s is no random UUID", u)
	}
	for _, bad := range []string{"x", "6F1C7A0E", "6F1C7A0E-7C0B-4C52-9F0B-0F3B7C5C1E1", "6F1C7A0E-7C0B-4C52-9F0B-0F3B7C5C1E1G", strings.Repeat("-", 36), "6F1C7A0E7-C0B-4C52-9F0B-0F3B7C5C1E11"} {
		if u, err := eventstore.ParseUUID(bad); err == nil {
			t.Errorf("%q is read as %q", bad, u)
		}
	}
}

func FuzzParseUUID(f *testing.F) {
	f.Add("6F1C7A0E-7C0B-4C52-9F0B-0F3B7C5C1E11")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := eventstore.ParseUUID(text); err == nil && !strings.EqualFold(u.String(), text) && !u.IsZero() {
			t.Errorf("%q is read as %q", text, u)
		}
	})
}

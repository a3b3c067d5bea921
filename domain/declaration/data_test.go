package declaration_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
)

const asset, legacy = "com.apple.asset.credential.userpassword", "com.apple.configuration.legacy.interactive"

func content(text string) declaration.Content {
	return declaration.Content{Type: "application/json", Data: []byte(text)}
}

func keep(t *testing.T, d declaration.Declaration, kind string, c declaration.Content, more string) (declaration.Declaration, []domain.Event) {
	t.Helper()
	events, err := d.PutData(kind, c, json.RawMessage(more), stamp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		d = fold([]domain.Event{e})
	}
	return d, events
}

func TestDataThatTheServerGivesOut(t *testing.T) {
	const secret = `{"UserName":"ada","Password":"canary"}`
	d, events := keep(t, declaration.Declaration{}, asset, content(secret), "")
	sum := sha256.Sum256([]byte(secret))
	want := `{"Reference":{"ContentType":"application/json","DataURL":"https://mdm.example.com/mdm/data/x","Hash-SHA-256":"` + hex.EncodeToString(sum[:]) + `","Size":38}}`
	if got := string(d.At("https://mdm.example.com/mdm/data/x")); got != want {
		t.Errorf("a device is told %s, want %s", got, want)
	}
	if c, here := d.Content(); !here || c.Type != "application/json" || string(c.Data) != secret {
		t.Errorf("a device is given %s %s, %v", c.Type, c.Data, here)
	}
	put := events[0].(declaration.Put)
	if shown := string(put.Shown); strings.Contains(shown, hex.EncodeToString(sum[:])) || !strings.Contains(shown, `"Size":38`) {
		t.Errorf("people see %s: a short password would be found by its hash", shown)
	}
	if _, again := keep(t, d, asset, content(secret), ""); len(again) > 0 {
		t.Errorf("the same data again are news: %v", again)
	}
	other, _ := keep(t, d, asset, content(strings.ToUpper(secret)), "")
	if other.ServerToken == d.ServerToken {
		t.Error("other data have the same token: no device would fetch them")
	}
	elsewhere, err := d.Put(asset, json.RawMessage(`{"Reference":{"DataURL":"https://example.com/a"}}`), false, stamp)
	if err != nil {
		t.Fatal(err)
	}
	if c, here := fold(elsewhere).Content(); here {
		t.Errorf("what is elsewhere now is given out still: %v", c)
	}
	if c, here := fold(append(events, declaration.Withdrawn{})).Content(); here {
		t.Errorf("what was withdrawn is given out still: %v", c)
	}
}

func TestAProfileThatTheServerGivesOut(t *testing.T) {
	d, events := keep(t, declaration.Declaration{}, legacy, declaration.Content{Data: []byte("<plist/>")}, `{"VisibleName":"Wi-Fi"}`)
	if got, want := string(d.At("https://x/1")), `{"ProfileURL":"https://x/1","VisibleName":"Wi-Fi"}`; got != want {
		t.Errorf("a device is told %s, want %s", got, want)
	}
	if c, here := d.Content(); !here || c.Type != "application/x-apple-aspen-config" {
		t.Errorf("a device is given %+v", c)
	}
	if shown := string(events[0].(declaration.Put).Shown); shown != `{"ProfileURL":"rollcall:","VisibleName":"Wi-Fi"}` {
		t.Errorf("people see %s", shown)
	}
}

func TestDataThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		kind    string
		content declaration.Content
		more    string
		because string
	}{
		{asset, content(""), "", "there is no data"},
		{asset, content(strings.Repeat("x", 640<<10+1)), "", "at most 655360 bytes"},
		{asset, declaration.Content{Type: "JSON", Data: []byte("x")}, "", "ContentType"},
		{asset, declaration.Content{Type: "application/json; charset=utf-8", Data: []byte("x")}, "", "ContentType"},
		{asset, content("x"), "[]", "JSON object"},
		{asset, content("x"), `{"Nonsense":1}`, "Nonsense is not a key of Apple's"},
		{"com.apple.asset.useridentity", content("x"), "", "Reference is not a key of Apple's"},
		{legacy, declaration.Content{Type: "text/plain", Data: []byte("x")}, `{"VisibleName":"x"}`, "application/x-apple-aspen-config"},
		{legacy, declaration.Content{Data: []byte("x")}, "", "VisibleName is required"},
		{passcode, content("x"), "", "refers to no data"},
	} {
		_, err := declaration.Declaration{}.PutData(c.kind, c.content, json.RawMessage(c.more), stamp)
		if refusal, refused := domain.Refused(err); !refused || !strings.Contains(refusal.Text, c.because) {
			t.Errorf("%s %s %s: %v, want %q", c.kind, c.content.Type, c.more, err, c.because)
		}
	}
	_, err := declaration.Declaration{}.Put(asset, json.RawMessage(`{"Reference":{"DataURL":"rollcall:abc"}}`), true, stamp)
	if refusal, refused := domain.Refused(err); !refused || !strings.Contains(refusal.Hint, "putDeclarationData") {
		t.Errorf("an address of the server's own, put by hand: %v", err)
	}
}

package acme

import (
	"bytes"
	"encoding/base64"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// A nonce is good once, however many are used; memory holds no more of them than it may.
func TestNoncesAreBounded(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	n := newNonces([32]byte{1}, func() time.Time { return at })
	n.most = 100
	kept := n.give()
	for range 3 * n.most {
		at = at.Add(time.Millisecond)
		text := n.give()
		if !n.take(text) || n.take(text) {
			t.Fatal("a nonce is not good once")
		}
		if len(n.fresh) > n.most || len(n.before) > n.most {
			t.Fatal("more are kept than may be")
		}
	}
	if n.take(kept) {
		t.Error("one that was given before the oldest that is kept is good")
	}
	if other := newNonces([32]byte{2}, n.now); other.take(n.give()) || n.take(other.give()) {
		t.Error("another house's nonce is good")
	}
	sibling := newNonces([32]byte{1}, n.now)
	if !sibling.take(n.give()) {
		t.Error("a nonce of another server of the house is not good")
	}
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func nested(depth int) []byte {
	return append(append([]byte{0xa1, 0x67}, "attStmt"...), append(bytes.Repeat([]byte{0x81}, depth), 0x00)...)
}

func TestAttestationObjects(t *testing.T) {
	several := make([][]byte, 17)
	for name, tt := range map[string]struct {
		raw  []byte
		good bool
	}{
		"Apple's":             {encoded(t, map[string]any{"fmt": "apple", "attStmt": map[string]any{"x5c": [][]byte{{1}}}, "authData": []byte{1}}), true},
		"attests nothing":     {encoded(t, map[string]any{"fmt": "apple", "attStmt": map[string]any{}}), true},
		"none":                {encoded(t, map[string]any{"fmt": "none", "attStmt": map[string]any{}}), true},
		"none with a chain":   {encoded(t, map[string]any{"fmt": "none", "attStmt": map[string]any{"x5c": [][]byte{{1}}}}), false},
		"another's":           {encoded(t, map[string]any{"fmt": "tpm", "attStmt": map[string]any{}}), false},
		"too many parts":      {encoded(t, map[string]any{"fmt": "apple", "attStmt": map[string]any{"x5c": several}}), false},
		"nested":              {nested(5), false},
		"nested 10,000 deep":  {nested(10_000), false},
		"the same key twice":  {append([]byte{0xa2}, bytes.Repeat(append([]byte{0x63}, "fmt\x65apple"...), 2)...), false},
		"of unknown length":   {[]byte{0xbf, 0xff}, false},
		"a tag":               {append([]byte{0xc0}, encoded(t, map[string]any{"fmt": "apple"})...), false},
		"a length that lies":  {[]byte{0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false},
		"something behind it": {append(encoded(t, map[string]any{"fmt": "apple"}), 0), false},
		"too long":            {encoded(t, map[string]any{"fmt": "apple", "authData": make([]byte, maxObject)}), false},
	} {
		if _, err := readObject(base64.RawURLEncoding.EncodeToString(tt.raw)); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readObject("no base64!"); err == nil {
		t.Error("what is no base64 is read")
	}
}

func FuzzAttestationObject(f *testing.F) {
	f.Add(encoded(f, map[string]any{"fmt": "apple", "attStmt": map[string]any{"x5c": [][]byte{{0x30, 0x00}}}}))
	f.Add(nested(64))
	f.Add([]byte{0xbf, 0x63, 'f', 'm', 't', 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		chain, err := readObject(base64.RawURLEncoding.EncodeToString(raw))
		if err == nil && len(chain) > 16 {
			t.Errorf("%d certificates are taken", len(chain))
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"protected":"eyJhbGciOiJFUzI1NiIsIm5vbmNlIjoieCIsInVybCI6Imh0dHBzOi8vZXhhbXBsZS5jb20vYWNtZS9uZXctYWNjb3VudCIsImp3ayI6e319","payload":"","signature":"AA"}`))
	f.Add([]byte(strings.Repeat("[", 2000)))
	f.Add([]byte(`{"protected":"","payload":"","signature":""}`))
	d := &Door{URL: "https://example.com"}
	d.once.Do(d.init)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, by := range []who{byAccount, byKey, byEither} {
			r := httptest.NewRequest("POST", "https://example.com/acme/new-account", bytes.NewReader(body))
			r.Header.Set("Content-Type", requestType)
			if got, err := d.read(r, by); err == nil {
				t.Errorf("a request by %s is taken that nobody can have signed for this nonce", got.requester)
			}
		}
	})
}

package device_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestADocumentComesBackByteByByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := device.Document(rapid.OneOf(
			rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
			rapid.Map(rapid.String(), func(s string) []byte { return []byte("base64:" + s) }),
		).Draw(t, "document"))
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var back device.Document
		if err := json.Unmarshal(text, &back); err != nil || !bytes.Equal(back, d) {
			t.Fatalf("%q came back as %q: %v", d, back, err)
		}
	})
}

func TestATextDocumentIsStoredAsText(t *testing.T) {
	text, err := device.Document("<plist/>").MarshalText()
	if err != nil || string(text) != "<plist/>" {
		t.Fatalf("stored as %q: %v", text, err)
	}
}

package mdmtest

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"howett.net/plist"
	"pgregory.net/rapid"
)

func TestWriterReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		printable := rapid.StringMatching(`[ -~äß€𝔘\n\t]{0,40}`)
		type all struct {
			Text  string
			Whole int
			Real  float64
			Yes   bool
			Bytes []byte
			At    time.Time
			List  []string
			Deep  map[string]string
		}
		want := all{
			Text: printable.Draw(t, "text"), Whole: rapid.Int().Draw(t, "whole"), Real: rapid.Float64Range(-1e9, 1e9).Draw(t, "real"),
			Yes: rapid.Bool().Draw(t, "yes"), Bytes: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"),
			At:   time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0).UTC(),
			List: rapid.SliceOf(printable).Draw(t, "list"), Deep: rapid.MapOf(printable, printable).Draw(t, "deep"),
		}
		deep := dict{}
		for k, v := range want.Deep {
			deep[k] = v
		}
		body := text(dict{
			"Text": want.Text, "Whole": want.Whole, "Real": want.Real, "Yes": want.Yes, "Bytes": want.Bytes, "At": want.At,
			"List": want.List, "Deep": deep,
		})
		var got all
		if _, err := plist.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v\n%s", err, body)
		}
		if again := text(dict{
			"Text": got.Text, "Whole": got.Whole, "Real": got.Real, "Yes": got.Yes, "Bytes": got.Bytes, "At": got.At,
			"List": got.List, "Deep": deep,
		}); got.Text != want.Text || len(got.Deep) != len(want.Deep) || !bytes.Equal(again, body) {
			t.Fatalf("read back as %+v from\n%s", got, body)
		}
	})
}

func TestBlankIsFilled(t *testing.T) {
	f := render(dict{"CommandUUID": blank{}, "List": fragment("\t<array/>\n"), "Z": 1})
	one, two := string(f.fill(nil, "one")), string(f.fill(nil, "two"))
	var got struct {
		CommandUUID string
		List        []string
		Z           int
	}
	if _, err := plist.Unmarshal([]byte(two), &got); err != nil || got.CommandUUID != "two" || got.Z != 1 || one == two {
		t.Errorf("%+v, %v\n%s", got, err, two)
	}
}

// FuzzGlance holds the quick look at a command to its promise: all but the UUID makes the fingerprint.
func FuzzGlance(f *testing.F) {
	f.Add(RawCommand(Inventory[0], "A-1"))
	f.Add([]byte(`<?xml version="1.0"?><plist version="1.0"><dict><key>Command</key><dict><key>RequestType</key><string>X</string></dict><key>CommandUUID</key> <string>U</string></dict></plist>`))
	f.Add([]byte(`<?xml?><key>CommandUUID</key><string>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 2000 {
			return
		}
		uuid, print, ok := glance(body)
		if !ok {
			return
		}
		if uuid == "" || !bytes.Contains(body, []byte(uuid)) {
			t.Errorf("a UUID %q out of nowhere", uuid)
		}
		from, to := stringOf(body, "CommandUUID")
		other := slices.Concat(body[:from], []byte("other"), body[to:])
		if again, same, ok := glance(other); !ok || again != "other" || same != print {
			t.Errorf("the fingerprint depends on the UUID %q", uuid)
		}
	})
}

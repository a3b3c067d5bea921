package plist_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

func scanned(t *testing.T, content string) *plist.Dict {
	t.Helper()
	d, err := plist.Scan(message(content))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const everyKind = `<dict><key>S</key><string>Ada's "iPad"
</string><key>P</key><string>plain</string><key>B</key><true/><key>F</key><false/><key>I</key><integer>-7</integer>
<key>U</key><integer>18446744073709551615</integer><key>D</key><data>aGk=</data><key>E</key><data></data>
<key>T</key><date>2026-11-22T09:00:00Z</date><key>A</key><array><true/></array><key>M</key><dict><key>S</key><string/></dict>
<key>Q&quot;</key><real>1.5</real></dict>`

func TestDict(t *testing.T) {
	d := scanned(t, everyKind)
	if s, p := d.String("S"), d.String("P"); s != "Ada's \"iPad\"\n" || p != "plain" {
		t.Errorf("the strings are %q and %q", s, p)
	}
	if b, f := d.Bool("B"), d.Bool("F"); b == nil || !*b || f == nil || *f {
		t.Errorf("the booleans are %v and %v", b, f)
	}
	if n := d.Int("I"); n != -7 {
		t.Errorf("the integer is %d", n)
	}
	if b, e := d.Bytes("D"), d.Bytes("E"); string(b) != "hi" || e == nil || len(e) != 0 {
		t.Errorf("the data is %q and %v", b, e)
	}
	if at := d.Time("T"); !at.Equal(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("the date is %v", at)
	}
	if a, m := d.JSON("A"), d.JSON("M"); string(a) != "[true]" || string(m) != `{"S":""}` {
		t.Errorf("the JSON is %s and %s", a, m)
	}
	if want := []string{"S", "P", "B", "F", "I", "U", "D", "E", "T", "A", "M", `Q"`}; !slices.Equal(d.Keys(), want) {
		t.Errorf("the keys are %q", d.Keys())
	}
	if d.Err() != nil {
		t.Errorf("after all this Err is %v", d.Err())
	}
}

func TestDictWithoutTheKey(t *testing.T) {
	d := scanned(t, everyKind)
	if d.String("X") != "" || d.Bool("X") != nil || d.Int("X") != 0 || d.Bytes("X") != nil || !d.Time("X").IsZero() || d.JSON("X") != nil || d.Has("X") {
		t.Error("a key that is absent has a value")
	}
	if !d.Has("A") || d.Err() != nil {
		t.Errorf("A is absent, or Err is %v", d.Err())
	}
}

func TestDictTellsOfWrongTypes(t *testing.T) {
	for name, get := range map[string]func(*plist.Dict){
		"P is not a boolean":  func(d *plist.Dict) { d.Bool("P"); d.Bool("I") },
		"I is not a string":   func(d *plist.Dict) { d.String("I") },
		"D is not a string":   func(d *plist.Dict) { d.String("D") },
		"P is not data":       func(d *plist.Dict) { d.Bytes("P") },
		"P is not an integer": func(d *plist.Dict) { d.Int("P") },
		"P is not a date":     func(d *plist.Dict) { d.Time("P") },
		"U is out of range":   func(d *plist.Dict) { d.Int("U") },
	} {
		d := scanned(t, everyKind)
		get(d)
		e, is := errors.AsType[*plist.Error](d.Err())
		if !is || e.What != name {
			t.Errorf("Err is %v, want %s", d.Err(), name)
		}
	}
}

func TestDictRest(t *testing.T) {
	d := scanned(t, `<dict><key>UDID</key><string>u</string><key>A</key><true/><key>Status</key><string>Idle</string><key>B</key><dict/></dict>`)
	for _, c := range []struct {
		without []string
		want    string
	}{
		{[]string{"UDID", "Status"}, `{"A":true,"B":{}}`},
		{nil, `{"UDID":"u","A":true,"Status":"Idle","B":{}}`},
		{[]string{"B", "A", "None"}, `{"UDID":"u","Status":"Idle"}`},
		{[]string{"UDID", "A", "Status", "B"}, ``},
	} {
		if got := d.Rest(c.without...); string(got) != c.want || (got == nil) != (c.want == "") {
			t.Errorf("without %v there is %s, want %s", c.without, got, c.want)
		}
	}
	if scanned(t, "<dict/>").Rest() != nil {
		t.Error("something is left of nothing")
	}
}

// TestScanKeepsNothingOfTheBody lets a door use its buffer again.
func TestScanKeepsNothingOfTheBody(t *testing.T) {
	body := message(everyKind)
	d, err := plist.Scan(body)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(d.Whole())
	clear(body)
	if !bytes.Equal(d.Whole(), before) || d.String("P") != "plain" {
		t.Error("the message changed with the body")
	}
}

// TestScanIsCheap holds the hot path to a few allocations.
func TestScanIsCheap(t *testing.T) {
	for name, most := range map[string]float64{"idle.plist": 8, "acknowledged.plist": 10, "installed-application-list.plist": 20} {
		body := sample(t, name)
		n := testing.AllocsPerRun(50, func() {
			d, err := plist.Scan(body)
			if err != nil {
				t.Fatal(err)
			}
			_, _, _ = d.String("UDID"), d.String("Status"), d.String("CommandUUID")
			_ = d.Rest("UDID", "Status", "CommandUUID")
		})
		if n > most {
			t.Errorf("%s allocates %v times, want at most %v", name, n, most)
		}
	}
}

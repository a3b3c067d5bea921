package device_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// list is an answer to a question about lists, as long as some apps make it.
func list(apps int) json.RawMessage {
	return json.RawMessage(`{"InstalledApplicationList":[` + strings.TrimSuffix(strings.Repeat(`{"Identifier":"com.example.one","Version":"1"},`, apps), ",") + `]}`)
}

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

// asked is what has happened when a device has been asked n questions about its apps, on a channel, and has the last.
func asked(channel device.ChannelID, n int, parameters string) events {
	uuid := fmt.Sprint(n)
	o := device.Order{UUID: uuid, RequestType: "InstalledApplicationList", Body: []byte(uuid), Parameters: json.RawMessage(parameters)}
	return events{queued(channel, o), device.CommandDelivered{Channel: channel, UUID: uuid, RequestType: o.RequestType, Attempt: 1}}
}

func answered(channel device.ChannelID, n int, result json.RawMessage) device.CommandAcknowledged {
	return device.CommandAcknowledged{Channel: channel, UUID: fmt.Sprint(n), RequestType: "InstalledApplicationList", Result: result, Digest: sum(result)}
}

func repeated(channel device.ChannelID, n int, version int64, result json.RawMessage) device.CommandAcknowledged {
	e := answered(channel, n, nil)
	e.SameAs, e.Digest = version, sum(result)
	return e
}

func lists(channel device.ChannelID, n int, result json.RawMessage) func(device.Device) (events, error) {
	return func(d device.Device) (events, error) {
		return d.Connect(device.Report{Channel: channel, Status: "Acknowledged", UUID: fmt.Sprint(n), Result: result}, noon)
	}
}

func TestAnUnchangedListIsSaidOnce(t *testing.T) {
	long, other, short := list(30), list(29), list(2)
	first := then(both, asked("", 1, ""), one(answered("", 1, long))) // its version is 6
	check(t, []decision{
		{"the first time it is whole", then(both, asked("", 1, "")), lists("", 1, long), one(answered("", 1, long)), 0},
		{"unchanged: a reference", then(first, asked("", 2, "")), lists("", 2, long), one(repeated("", 2, 6, long)), 0},
		{"unchanged once more: to the same", then(first, asked("", 2, ""), one(repeated("", 2, 6, long)), asked("", 3, "")), lists("", 3, long),
			one(repeated("", 3, 6, long)), 0},
		{"changed: whole", then(first, asked("", 2, "")), lists("", 2, other), one(answered("", 2, other)), 0},
		{"changed back: whole, for the last one was another", then(first, asked("", 2, ""), one(answered("", 2, other)), asked("", 3, "")),
			lists("", 3, long), one(answered("", 3, long)), 0},
		{"after a short one: whole", then(first, asked("", 2, ""), one(device.CommandAcknowledged{UUID: "2", RequestType: "InstalledApplicationList", Result: short}), asked("", 3, "")),
			lists("", 3, long), one(answered("", 3, long)), 0},
		{"the same answer to another question is whole: it means something else", then(first, asked("", 2, `{"ManagedAppsOnly":true}`)),
			lists("", 2, long), one(answered("", 2, long)), 0},
		{"each channel speaks for itself", then(first, asked("u", 2, "")), lists("u", 2, long), one(answered("u", 2, long)), 0},
		{"a user's too", then(both, asked("u", 1, ""), one(answered("u", 1, long)), asked("u", 2, "")), lists("u", 2, long), one(repeated("u", 2, 6, long)), 0},
		{"an answer as short as a reference is whole, and has no digest", then(both, asked("", 1, "")), lists("", 1, short), one(device.CommandAcknowledged{
			UUID: "1", RequestType: "InstalledApplicationList", Result: short}), 0},
		{"a new enrolment says everything anew", then(first, events{left, seen, token}, asked("", 2, "")), lists("", 2, long), one(answered("", 2, long)), 0},
		{"after a renewal nothing is new", then(first, one(device.Authenticated{Generation: 1, Renewal: true, Topic: "topic", Certificate: "A"}), one(token), asked("", 2, "")),
			lists("", 2, long), one(repeated("", 2, 6, long)), 0},
		{"what was erased is not referred to", then(first, events{device.SubjectErased{Reason: "r"}, seen, token}, asked("", 2, "")), lists("", 2, long),
			one(answered("", 2, long)), 0},
	})
}

// An answer from which secrets were cut is stored whole: where they stood, two answers look the same.
func TestAnAnswerWithSecretsIsWhole(t *testing.T) {
	var d device.Device
	for _, e := range then(both, asked("", 1, ""), one(answered("", 1, list(30))), asked("", 2, "")) {
		d = d.Evolve(e, morning)
	}
	got, err := d.Connect(device.Report{Status: "Acknowledged", UUID: "2", Result: list(30), Secrets: map[string]json.RawMessage{"k": list(1)}}, noon)
	if e := got[0].(device.CommandAcknowledged); err != nil || e.SameAs != 0 || len(e.Digest) > 0 || !bytes.Equal(e.Result, list(30)) {
		t.Errorf("%+v, %v", e, err)
	}
}

// A reference is followed to the event that it names, and to no other.
func TestAReferenceIsFollowed(t *testing.T) {
	long := list(30)
	kept, ref := answered("", 1, long), repeated("", 2, 6, long)
	if whole, ok := ref.Whole(kept); !ok || !bytes.Equal(whole.Result, long) || whole.UUID != "2" {
		t.Errorf("%+v, %v", whole, ok)
	}
	for name, wrong := range map[string]device.CommandAcknowledged{
		"another answer": answered("", 1, list(29)), "another channel's": answered("u", 1, long), "a reference": ref,
	} {
		if whole, ok := ref.Whole(wrong); ok {
			t.Errorf("%s was taken for the answer: %+v", name, whole)
		}
	}
	if _, ok := ref.Whole(token); ok {
		t.Error("an event without an answer was taken for it")
	}
	erased := kept
	erased.Result, erased.Digest = nil, nil
	if whole, ok := ref.Whole(erased); !ok || len(whole.Result) > 0 {
		t.Errorf("an answer that was erased came back: %+v, %v", whole, ok)
	}
}

// A device knows whether an event of its history refers to what it told.
func TestAFalseReferenceIsFound(t *testing.T) {
	long := list(30)
	var d device.Device
	for _, e := range then(both, asked("", 1, ""), one(answered("", 1, long)), asked("", 2, "")) {
		d = d.Evolve(e, morning)
	}
	forged := answered("", 2, list(28))
	forged.Digest = sum(long)
	for name, c := range map[string]struct {
		e    device.CommandAcknowledged
		good bool
	}{
		"the right one":    {repeated("", 2, 6, long), true},
		"another version":  {repeated("", 2, 5, long), false},
		"another digest":   {repeated("", 2, 6, list(3)), false},
		"whole":            {answered("", 2, list(28)), true},
		"whole, but false": {forged, false},
	} {
		if d.Quotes(c.e) != c.good {
			t.Errorf("%s: %v, want %v", name, !c.good, c.good)
		}
	}
}

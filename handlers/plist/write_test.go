package plist_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

func TestMarshalCommand(t *testing.T) {
	got, err := plist.MarshalCommand("0B6E7C2A", "InstallProfile", map[string]any{
		"Payload": []byte("<hi>"), "Text": "a<b>&\"ü\n", "Count": int64(-2), "At": time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		"List": []any{true, 1.5, map[string]any{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	head := `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>Command</key><dict>`
	if !bytes.HasPrefix(got, []byte(head)) {
		t.Errorf("the command is\n%s", got)
	}
	text, err := plist.ToJSON(got)
	want := `{"Command":{"At":"2026-11-22T09:00:00Z","Count":-2,"List":[true,1.5,{}],"Payload":"PGhpPg==","RequestType":"InstallProfile",` +
		`"Text":"a<b>&\"ü\n"},"CommandUUID":"0B6E7C2A"}`
	if err != nil || string(text) != want {
		t.Errorf("the command reads back as %s, err %v", text, err)
	}
}

func TestMarshalCommandLeavesItsArgumentAlone(t *testing.T) {
	params := map[string]any{"A": true}
	if _, err := plist.MarshalCommand("u", "T", params); err != nil || len(params) != 1 {
		t.Errorf("the parameters are %v, err %v", params, err)
	}
	if _, err := plist.MarshalCommand("u", "T", nil); err != nil {
		t.Error(err)
	}
}

func TestMarshalCommandRefuses(t *testing.T) {
	deep := any("x")
	for range 100 {
		deep = []any{deep}
	}
	for name, params := range map[string]map[string]any{
		"nil":           {"A": nil},
		"nil inside":    {"A": []any{nil}},
		"a NUL":         {"A": "secret\x00"},
		"bad UTF-8":     {"A": "secret\xff"},
		"a bad key":     {"A\x01": true},
		"a struct":      {"A": struct{}{}},
		"RequestType":   {"RequestType": "secret"},
		"too deep":      {"A": deep},
		"a NUL, deeper": {"A": map[string]any{"B": []any{"secret\x00"}}},
	} {
		got, err := plist.MarshalCommand("u", "T", params)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %s, err %v", name, got, err)
		}
	}
}

func TestMarshalTellsOfWhatItCannotWrite(t *testing.T) {
	for _, v := range []any{func() {}, map[int]string{1: "a"}, nil, make(chan int)} {
		if got, err := plist.Marshal(v); err == nil {
			t.Errorf("%T is written as %s", v, got)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	type token struct {
		MessageType string
		Token       []byte
		PushMagic   string `plist:"PushMagic,omitempty"`
		Level       float64
	}
	var got token
	body, err := plist.Marshal(token{"TokenUpdate", []byte("t"), "m", math.Inf(1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := plist.Unmarshal(body, &got); err != nil || got.MessageType != "TokenUpdate" || string(got.Token) != "t" || got.PushMagic != "m" || !math.IsInf(got.Level, 1) {
		t.Errorf("it is read as %+v, err %v", got, err)
	}
	if err := plist.Unmarshal(message("<dict><key>Token</key><string>secret</string></dict>"), &got); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a value of another type gives %v", err)
	}
	if err := plist.Unmarshal(body, got); err == nil {
		t.Error("a struct that is no pointer was filled")
	}
}

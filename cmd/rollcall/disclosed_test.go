package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// given is a bundle of a past, and the answer to a disclosure of two of its events, as a server gives it.
func given(t *testing.T) (bundle, answer string) {
	t.Helper()
	data, dir := lived(t), t.TempDir()
	p := openPast(t, data, time.Now())
	var keys []map[string]any
	for env, err := range p.log.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []seal.Part{seal.Personal, seal.Evidence} {
			if key, err := p.codec.PartKey(env, part); err == nil && len(keys) < 4 {
				keys = append(keys, map[string]any{"position": env.Position, "part": part, "key": key})
			}
		}
	}
	if _, err := ledger.OpenKey(data, "mdm.example.com/log"); err != nil {
		t.Fatal(err)
	}
	p.close()
	bundle, answer = filepath.Join(dir, "bundle"), filepath.Join(dir, "answer.json")
	if err := (&auditExportCmd{auditPrints: auditPrints{Out: &bytes.Buffer{}}, premises: premises{Data: data}, Out: bundle}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"data": map[string]any{"disclose": map[string]any{"position": "99", "keys": keys}}})
	if err == nil {
		err = os.WriteFile(answer, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return bundle, answer
}

// Whoever was given keys opens exactly what they are for, and sees that it is what was appended.
func TestDisclosedKeysOpenWhatWasAppended(t *testing.T) {
	bundle, answer := given(t)
	var out bytes.Buffer
	opened := filepath.Join(t.TempDir(), "opened.jsonl")
	c := &auditVerifyCmd{auditPrints: auditPrints{Out: &out}, Bundle: bundle, Disclosed: answer, Opened: opened}
	if err := c.Run(t.Context()); err != nil || !strings.Contains(out.String(), "The disclosed keys open 4 sealed parts") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text, err := os.ReadFile(opened)
	if err != nil || strings.Count(string(text), "\n") != 4 || !strings.Contains(string(text), `"part":"personal","holds":{`) ||
		!strings.Contains(string(text), base64.StdEncoding.EncodeToString([]byte("CANARYEVIDENCE U1"))) {
		t.Errorf("opened (%v):\n%s", err, text)
	}
	if err := c.Run(t.Context()); err == nil {
		t.Error("what was opened before was written over")
	}
}

// A key for an event that the bundle does not hold is no fault of the bundle, and is told.
func TestDisclosedKeysOfEventsThatAreNotInTheBundle(t *testing.T) {
	bundle, answer := given(t)
	text := `[{"position":"999999","part":"personal","key":"AAAA"}]`
	if err := os.WriteFile(answer, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := (&auditVerifyCmd{auditPrints: auditPrints{Out: &out}, Bundle: bundle, Disclosed: answer}).Run(t.Context())
	if err != nil || !strings.Contains(out.String(), "open 0 sealed parts") || !strings.Contains(out.String(), "1 are for events that the bundle does not hold") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// An edited key, another event's key, and keys that are none are found, and the place is named.
func TestDisclosedKeysThatWereEdited(t *testing.T) {
	bundle, answer := given(t)
	text, err := os.ReadFile(answer)
	if err != nil {
		t.Fatal(err)
	}
	var first struct {
		Data struct {
			Disclose struct {
				Keys []struct {
					Position eventstore.Position
					Key      []byte
				}
			}
		}
	}
	if err := json.Unmarshal(text, &first); err != nil {
		t.Fatal(err)
	}
	key := first.Data.Disclose.Keys[0]
	written := base64.StdEncoding.EncodeToString(key.Key)
	key.Key[7] ^= 1
	for what, edited := range map[string]string{
		"a bit of the key": strings.Replace(string(text), written, base64.StdEncoding.EncodeToString(key.Key), 1),
		"no key":           strings.Replace(string(text), written, "AAAA", 1),
	} {
		if err := os.WriteFile(answer, []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err := (&auditVerifyCmd{auditPrints: auditPrints{Out: &out}, Bundle: bundle, Disclosed: answer}).Run(t.Context())
		if want := fmt.Sprintf("position %d (events.jsonl): the disclosed key does not open the event's", key.Position); !errors.Is(err, errUnfit) || !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: %v\n%s", what, err, out.String())
		}
	}
	for _, none := range []string{"", "{", `{"keys":[]}`} {
		if err := os.WriteFile(answer, []byte(none), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (&auditVerifyCmd{auditPrints: auditPrints{Out: &bytes.Buffer{}}, Bundle: bundle, Disclosed: answer}).Run(t.Context()); err == nil || errors.Is(err, errUnfit) {
			t.Errorf("%q: %v", none, err)
		}
	}
}

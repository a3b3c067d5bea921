package projections

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

var updateGolden = flag.Bool("update-golden", false, "write testdata/history.golden anew")

// A stored is one example of an event in some form that it once had, as domain/catalog keeps them.
type stored struct {
	Type                   string
	Open, Personal, Secret map[string]json.RawMessage
}

// everyForm reads the examples, each as today's program reads it, and a name for each that is its line's alone.
func everyForm(t *testing.T) (events []domain.Event, names []string) {
	t.Helper()
	text, err := os.ReadFile("../domain/catalog/testdata/history.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s stored
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		all := map[string]json.RawMessage{}
		for part, fields := range map[string]map[string]json.RawMessage{"": s.Open, "personal": s.Personal, "secret": s.Secret} {
			text, err := json.Marshal(fields)
			for _, up := range catalog.Upcasts()[s.Type] {
				if err == nil {
					text, err = up(part, text)
				}
			}
			var now map[string]json.RawMessage
			if err == nil {
				err = json.Unmarshal(text, &now)
			}
			if err != nil {
				t.Fatalf("%s: %v", s.Type, err)
			}
			maps.Copy(all, now)
		}
		data, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		e, err := inClear{}.Decode(eventstore.Envelope{Type: s.Type, Data: data})
		if err != nil {
			t.Fatalf("%s: %v", s.Type, err)
		}
		sum := sha256.Sum256(lines.Bytes())
		events, names = append(events, e), append(names, hex.EncodeToString(sum[:4]))
	}
	return events, names
}

// Every form that was ever stored is digested by every view, and told as it always was. The golden file has a line for
// an example; one that is not there yet is digested all the same (-update-golden adds it). A line that is there changes
// only if somebody means it.
func TestEveryFormIsProjected(t *testing.T) {
	h, v := newHistory(), open(t)
	events, names := everyForm(t)
	for i, e := range events { // each in a stream of its own, so that no line speaks for another
		kind, _, _ := strings.Cut(e.EventType(), ".")
		h.by(ada, eventstore.Stream{Kind: kind, ID: names[i]}, noon, e)
	}
	follow(t, v, h)
	views, err := v.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, view := range views {
		for _, p := range view.Parked {
			t.Errorf("the view %s cannot digest %s: %s", view.Name, h.events[p.Position-1].Type, p.Error)
		}
	}
	told := map[string]bool{}
	var golden strings.Builder
	for _, env := range h.events {
		e, err := inClear{}.Decode(env)
		if err != nil {
			t.Fatal(err)
		}
		sentence, err := v.Summarise(t.Context(), env, e)
		if err != nil || sentence == "" {
			t.Errorf("%s is told as %q (%v)", env.Type, sentence, err)
		}
		line := env.Type + ": " + sentence
		told[line] = true
		fmt.Fprintln(&golden, line)
	}
	compareGolden(t, golden.String(), told)
}

func compareGolden(t *testing.T, golden string, told map[string]bool) {
	t.Helper()
	const file = "testdata/history.golden"
	if *updateGolden {
		if err := os.WriteFile(file, []byte(golden), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(want)) {
		if line = strings.TrimSuffix(line, "\n"); !told[line] {
			t.Errorf("nothing is told any more as it was (if that is meant: go test ./projections -run EveryForm -update-golden): %s", line)
		}
	}
}

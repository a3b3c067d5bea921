package handlers_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A rule is what testdata/commands.tsv says about one place in a command. It shares nothing with the catalogue: each
// checks the other.
type rule struct {
	kind     string
	required bool
	values   []string
	length   int // of a string; any if zero
	keys     map[string]*rule
	order    []string
	any      *rule            // of keys that anybody may name
	element  *rule            // of an array
	shapes   map[string]*rule // of an array whose elements are told apart by Item
}

// A sheet is what it says about one command.
type sheet struct {
	command string
	root    *rule
	needs   []string // "one" or "some", and the keys of which so many must be there
}

func readSheets(t *testing.T) (all []*sheet) {
	t.Helper()
	text, err := os.ReadFile("testdata/commands.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0][0] == '#':
		case words[0] == "command":
			all = append(all, &sheet{command: words[1], root: &rule{kind: "dict"}})
		case words[0] == "needs":
			all[len(all)-1].needs = words[1:]
		default:
			all[len(all)-1].root.add(t, strings.Split(line, "\t"))
		}
	}
	return all
}

// add puts a line of the sheet into its place.
func (r *rule) add(t *testing.T, columns []string) {
	t.Helper()
	at := r
	for step := range strings.SplitSeq(columns[0], ".") {
		name, rest, _ := strings.Cut(step, "[")
		at = at.key(name)
		if rest != "" {
			at = at.inside(strings.TrimSuffix(rest, "]"))
		}
	}
	at.kind, at.required = columns[1], columns[2] == "required"
	if columns[3] != "-" {
		at.values = strings.Split(columns[3], "|")
	}
	if text, is := strings.CutPrefix(columns[4], "length "); is {
		at.length, _ = strconv.Atoi(text)
	} else if columns[4] != "-" {
		t.Fatalf("the sheet has %q, which is not understood", columns[4])
	}
}

func (r *rule) key(name string) *rule {
	if name == "*" {
		if r.any == nil {
			r.any = &rule{kind: "any"}
		}
		return r.any
	}
	if r.keys[name] == nil {
		if r.keys == nil {
			r.keys = map[string]*rule{}
		}
		r.keys[name], r.order = &rule{kind: "dict"}, append(r.order, name)
	}
	return r.keys[name]
}

func (r *rule) inside(label string) *rule {
	if label == "" {
		if r.element == nil {
			r.element = &rule{kind: "dict"}
		}
		return r.element
	}
	if r.shapes[label] == nil {
		if r.shapes == nil {
			r.shapes = map[string]*rule{}
		}
		r.shapes[label] = &rule{kind: "dict"}
	}
	return r.shapes[label]
}

// example returns a valid value, in JSON's shape, with every key.
func (r *rule) example() any {
	if len(r.values) > 0 && r.kind == "string" {
		return r.values[0]
	}
	switch r.kind {
	case "string":
		return strings.Repeat("7", max(r.length, 1))
	case "integer":
		if len(r.values) > 0 {
			n, _ := strconv.Atoi(r.values[0])
			return n
		}
		return 1
	case "real":
		return 0.5
	case "boolean":
		return true
	case "data":
		return "aGVsbG8="
	case "date":
		return "2026-11-22T09:00:00Z"
	case "array":
		all := []any{}
		if r.element != nil {
			all = append(all, r.element.example())
		}
		for _, label := range sorted(r.shapes) {
			shape := r.shapes[label].example().(map[string]any)
			shape["Item"] = label
			all = append(all, shape)
		}
		return all
	case "dict":
		all := map[string]any{}
		for name, key := range r.keys {
			all[name] = key.example()
		}
		if r.any != nil {
			all["com.example.key"] = r.any.example()
		}
		return all
	}
	return "anything"
}

func sorted(m map[string]*rule) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *sheet) example() map[string]any {
	all := s.root.example().(map[string]any)
	if len(s.needs) > 0 && s.needs[0] == "one" {
		for _, key := range s.needs[2:] {
			delete(all, key)
		}
	}
	return all
}

// check returns what is wrong with a value as a device would find it in the property list.
func (r *rule) check(path string, v any) error {
	if err := r.checkKind(path, v); err != nil {
		return err
	}
	if len(r.values) > 0 && !slices.Contains(r.values, fmt.Sprint(v)) {
		return fmt.Errorf("%s is none of %v", path, r.values)
	}
	if s, is := v.(string); is && r.length > 0 && len(s) != r.length {
		return fmt.Errorf("%s has not %d characters", path, r.length)
	}
	switch v := v.(type) {
	case map[string]any:
		return r.checkDict(path, v)
	case []any:
		for i, e := range v {
			inside, at := r.element, fmt.Sprintf("%s[%d]", path, i)
			if r.shapes != nil {
				item, _ := e.(map[string]any)
				label, _ := item["Item"].(string)
				if inside = r.shapes[label]; inside == nil {
					return fmt.Errorf("%s has the Item %q", at, label)
				}
			}
			if inside == nil {
				continue
			}
			if err := inside.check(at, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rule) checkKind(path string, v any) error {
	kind := "nothing"
	switch v.(type) {
	case string:
		kind = "string"
	case uint64, int64:
		kind = "integer"
	case float64:
		kind = "real"
	case bool:
		kind = "boolean"
	case []byte:
		kind = "data"
	case time.Time:
		kind = "date"
	case []any:
		kind = "array"
	case map[string]any:
		kind = "dict"
	}
	if r.kind != kind && r.kind != "any" {
		return fmt.Errorf("%s is %s, want %s", path, kind, r.kind)
	}
	return nil
}

func (r *rule) checkDict(path string, v map[string]any) error {
	if r.kind == "any" || r.keys == nil && (r.any == nil || r.any.kind == "any") {
		return nil
	}
	for name, e := range v {
		key := r.keys[name]
		if key == nil {
			key = r.any
		}
		if key == nil && name == "Item" && path != "" {
			continue
		}
		if key == nil {
			return fmt.Errorf("%s.%s is no key", path, name)
		}
		if err := key.check(path+"."+name, e); err != nil {
			return err
		}
	}
	for name, key := range r.keys {
		if _, there := v[name]; key.required && !there {
			return fmt.Errorf("%s.%s is missing", path, name)
		}
	}
	return nil
}

// received returns a command as a device reads it, without its RequestType, or what is wrong with its envelope.
func received(body []byte, uuid, requestType string) (map[string]any, error) {
	var message map[string]any
	if _, err := plist.Unmarshal(body, &message); err != nil {
		return nil, err
	}
	keys, _ := message["Command"].(map[string]any)
	if len(message) != 2 || message["CommandUUID"] != uuid || keys["RequestType"] != requestType {
		return nil, fmt.Errorf("the envelope is %v", message)
	}
	delete(keys, "RequestType")
	return keys, nil
}

// TestTheWholeCatalogueAgainstTheSheet walks all commands: a valid example of each is taken, and encodes to a property
// list that a strict device accepts; each key gone wrong is refused before it is encoded, by the key's name.
func TestTheWholeCatalogueAgainstTheSheet(t *testing.T) {
	sheets := readSheets(t)
	if catalog := command.Catalog(); len(sheets) != 68 || len(catalog) != len(sheets) {
		t.Fatalf("the sheet has %d commands, the catalogue %d, want 68", len(sheets), len(catalog))
	}
	keys, spoilt := 0, 0
	for _, s := range sheets {
		t.Run(s.command, func(t *testing.T) {
			order, err := handlers.TypedOrder(s.command, s.example(), "U-1")
			if err != nil {
				t.Fatalf("a valid example is refused: %v", err)
			}
			device, err := received(order.Body, "U-1", s.command)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.root.check("", device); err != nil {
				t.Errorf("a strict device finds: %v\n%s", err, order.Body)
			}
			w := &walk{t: t, sheet: s, params: s.example()}
			w.dict(s.root, "", w.params)
			w.needs()
			keys, spoilt = keys+w.keys, spoilt+w.spoilt
		})
	}
	t.Logf("%d keys, spoilt in %d ways", keys, spoilt)
	if keys != 205 || spoilt < 960 {
		t.Errorf("%d keys were spoilt, in %d ways: want 205, in 960 or more", keys, spoilt)
	}
}

// A walk spoils each key of a valid example in turn.
type walk struct {
	t            *testing.T
	sheet        *sheet
	params       map[string]any
	keys, spoilt int
}

func (w *walk) refused(path, how string) {
	w.t.Helper()
	w.spoilt++
	_, err := handlers.TypedOrder(w.sheet.command, w.params, "U-1")
	refusal, refused := domain.Refused(err)
	if !refused || refusal.Reason != domain.Invalid || !strings.Contains(refusal.Text, path) {
		w.t.Errorf("%s with %s is answered %v", path, how, err)
	}
}

// wrongKinds are values that are of another type than each.
var wrongKinds = map[string][]any{
	"string": {7, true, []any{}, map[string]any{}}, "integer": {"7", true, 1.5, []any{}}, "real": {"7", true, map[string]any{}},
	"boolean": {"true", 1, []any{}}, "data": {7, true, "no base64!", []any{}}, "date": {7, "yesterday", true},
	"array": {"a", 7, map[string]any{}}, "dict": {"a", 7, []any{}}, "any": {nil},
}

func (w *walk) dict(r *rule, path string, m map[string]any) {
	if len(r.keys) > 0 {
		m["NoKeyOfApples"] = "x"
		w.refused("NoKeyOfApples", "a key that there is not")
		delete(m, "NoKeyOfApples")
	}
	for _, name := range r.order {
		v, there := m[name]
		if !there || name == "Item" {
			continue
		}
		w.keys++
		key, at := r.keys[name], strings.TrimPrefix(path+"."+name, ".")
		if key.required {
			delete(m, name)
			w.refused(at, "nothing")
		}
		w.value(key, at, v, func(v any) { m[name] = v })
		m[name] = v
	}
}

// needs leaves out all keys of which some must be there, and gives two of which one alone may be.
func (w *walk) needs() {
	if len(w.sheet.needs) == 0 {
		return
	}
	whole := w.sheet.root.example().(map[string]any)
	if w.sheet.needs[0] == "one" {
		w.params = whole
		w.refused(w.sheet.needs[1], "others that exclude it")
	}
	w.params = w.sheet.example()
	for _, key := range w.sheet.needs[1:] {
		delete(w.params, key)
	}
	w.refused(w.sheet.needs[1], "none of those that belong together")
}

func (w *walk) value(r *rule, path string, v any, set func(any)) {
	for _, wrong := range wrongKinds[r.kind] {
		set(wrong)
		w.refused(path, fmt.Sprintf("%v (%T)", wrong, wrong))
	}
	if len(r.values) > 0 {
		set(map[string]any{"string": "none of them", "integer": 4711}[r.kind])
		w.refused(path, "a value that is not named")
	}
	for _, length := range []int{r.length - 1, r.length + 1} {
		if r.length > 0 {
			set(strings.Repeat("7", length))
			w.refused(path, fmt.Sprint(length, " characters"))
		}
	}
	set(v)
	switch v := v.(type) {
	case map[string]any:
		w.dict(r, path, v)
	case []any:
		for i, e := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			if item, is := e.(map[string]any); is && r.shapes != nil {
				w.dict(r.shapes[item["Item"].(string)], at, item)
			} else if r.element != nil {
				w.value(r.element, at, e, func(e any) { v[i] = e })
			}
			v[i] = e
		}
	}
}

// TestTheStrictDeviceIsStrict spoils what it would accept, and wants it to notice.
func TestTheStrictDeviceIsStrict(t *testing.T) {
	for _, c := range []struct {
		command string
		spoil   func(keys map[string]any)
	}{
		{"InstallProfile", func(k map[string]any) { delete(k, "Payload") }},
		{"InstallProfile", func(k map[string]any) { k["Payload"] = "text" }},
		{"InstallProfile", func(k map[string]any) { k["Nonsense"] = true }},
		{"DeviceLock", func(k map[string]any) { k["PIN"] = "12345" }},
		{"DeviceInformation", func(k map[string]any) { k["Queries"] = []any{"ShoeSize"} }},
		{"Settings", func(k map[string]any) { k["Settings"].([]any)[0].(map[string]any)["Item"] = "Weather" }},
	} {
		for _, s := range readSheets(t) {
			if s.command != c.command {
				continue
			}
			order, err := handlers.TypedOrder(s.command, s.example(), "U-1")
			if err != nil {
				t.Fatal(err)
			}
			keys, err := received(order.Body, "U-1", s.command)
			if err != nil {
				t.Fatal(err)
			}
			if c.spoil(keys); s.root.check("", keys) == nil {
				t.Errorf("a spoilt %s is accepted: %s", s.command, must(json.Marshal(keys)))
			}
		}
	}
}

func must(text []byte, _ error) []byte { return text }

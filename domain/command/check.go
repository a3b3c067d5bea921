package command

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Check returns the refusal of parameters that Apple's devices would not take. They have JSON's shape: data is
// base64 in a string, a date is RFC 3339. Whether a platform has a key is not asked here.
//
// A refusal names the key in Apple's spelling and what is wanted, never the value.
func (s *Spec) Check(params map[string]any) error {
	_, err := s.Native(params)
	return err
}

// Native returns the parameters as property list values: []byte for data, time.Time for a date, int64, float64,
// bool, string, []any and map[string]any. It refuses what Check refuses.
func (s *Spec) Native(params map[string]any) (map[string]any, error) {
	if params == nil {
		params = map[string]any{}
	}
	r := reader{s.Type}
	native, err := r.dict(s.takes, "", params)
	if err != nil {
		return nil, err
	}
	for _, need := range s.Needs {
		if err := r.need(need, params); err != nil {
			return nil, err
		}
	}
	return native.(map[string]any), nil
}

// A reader turns JSON's shape into property list values.
type reader struct{ command string }

// wants returns the refusal of the value at a path.
func (r reader) wants(path, format string, args ...any) error {
	return domain.Refusef(domain.Invalid, "%s: %s %s", r.command, path, fmt.Sprintf(format, args...))
}

func (r reader) need(n Need, params map[string]any) error {
	given := 0
	for _, key := range n.Keys {
		if _, has := params[key]; has {
			given++
		}
	}
	switch {
	case given == 0:
		return domain.Refusef(domain.Invalid, "%s wants one of %s", r.command, list(n.Keys))
	case n.Exactly && given > 1:
		return domain.Refusef(domain.Invalid, "%s wants only one of %s", r.command, list(n.Keys))
	}
	return nil
}

// value reads a value of any shape. path is the way to it, in Apple's spelling.
func (r reader) value(s *shape, path string, v any) (any, error) {
	switch s.Type {
	case "dict":
		return r.dict(s, path, v)
	case "array":
		return r.array(s, path, v)
	case "any":
		return r.free(path, v, 0)
	}
	native, err := r.scalar(s, path, v)
	if err != nil {
		return nil, err
	}
	return native, r.allowed(s, path, native)
}

func (r reader) dict(s *shape, path string, v any) (any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, r.wants(path, "must be a dictionary, not %s", called(v))
	}
	if path != "" && s.free() {
		return r.free(path, v, 0)
	}
	for _, name := range s.names {
		if _, has := m[name]; !has && s.members[name].demanded() {
			return nil, r.wants(join(path, name), "is required")
		}
	}
	native := make(map[string]any, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		member, known := s.members[name]
		if !known {
			member = s.other
		}
		if member == nil {
			return nil, r.unknown(s, path, name)
		}
		var err error
		if native[name], err = r.value(member, join(path, name), m[name]); err != nil {
			return nil, err
		}
	}
	return native, nil
}

// unknown returns the refusal of a key that nobody knows. Its name is shown only if it looks like one.
func (r reader) unknown(s *shape, path, name string) error {
	if len(name) > 64 || !plain(name) {
		name = "one of its keys"
	}
	err := r.wants(join(path, name), "is not a key of Apple's")
	if len(s.names) == 0 {
		return domain.WithHint(err, "there are no keys here")
	}
	return domain.WithHint(err, "the keys here are "+list(s.names))
}

func (r reader) array(s *shape, path string, v any) (any, error) {
	a, ok := v.([]any)
	if !ok {
		return nil, r.wants(path, "must be an array, not %s", called(v))
	}
	if s.free() {
		return r.free(path, v, 0)
	}
	native := make([]any, len(a))
	for i, e := range a {
		at := path + "[" + strconv.Itoa(i) + "]"
		element, err := r.element(s, at, e)
		if err != nil {
			return nil, err
		}
		if native[i], err = r.value(element, at, e); err != nil {
			return nil, err
		}
	}
	return native, nil
}

// element returns the shape that an element must have: the only one, or that of its Item.
func (r reader) element(s *shape, path string, v any) (*shape, error) {
	if s.items == nil {
		return s.element, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, r.wants(path, "must be a dictionary, not %s", called(v))
	}
	label, _ := m["Item"].(string)
	if element := s.items[label]; element != nil {
		return element, nil
	}
	return nil, domain.WithHint(r.wants(path+".Item", "must say which setting it is"), "Item is one of "+list(s.labels))
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list writes names as a sentence has them, and cuts a long list short.
func list(names []string) string {
	const most = 24
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and " + strconv.Itoa(len(names)-most) + " more"
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

package command

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// scalar reads a string, number, boolean, data or date.
func (r reader) scalar(s *shape, path string, v any) (any, error) {
	var native any
	var ok bool
	switch s.Type {
	case "string":
		native, ok = text(v)
	case "boolean":
		native, ok = v.(bool)
	case "integer":
		native, ok = integer(v)
	case "real":
		native, ok = float(v)
	case "data":
		native, ok = data(v)
	case "date":
		native, ok = date(v)
	}
	if !ok {
		return nil, r.wants(path, "must be %s, not %s", wanted[s.Type], called(v))
	}
	return native, nil
}

var wanted = map[string]string{
	"string": "text that XML can hold", "boolean": "true or false", "integer": "an integer", "real": "a number",
	"data": "data in base64", "date": "a date like 2026-11-22T09:00:00Z",
}

// allowed refuses a value that has the right type, but is not among those that Apple names.
func (r reader) allowed(s *shape, path string, native any) error {
	if len(s.Allowed) > 0 && !s.allows(textOf(native)) {
		values := make([]string, len(s.Allowed))
		for i, v := range s.Allowed {
			values[i] = v.Text
		}
		return domain.WithHint(r.wants(path, "must be one of the values that Apple names"), "it is one of "+list(values))
	}
	if t, is := native.(string); is && s.pattern != nil && !s.pattern.MatchString(t) {
		return r.wants(path, "must match %s", s.Pattern)
	}
	if f, is := float(native); is && (s.Min != nil && f < *s.Min || s.Max != nil && f > *s.Max) {
		return r.wants(path, "must be from %s to %s", bound(s.Min), bound(s.Max))
	}
	return nil
}

// allows reports whether a value is among those that Apple names.
func (s *shape) allows(text string) bool {
	return slices.ContainsFunc(s.Allowed, func(v Value) bool { return v.Text == text })
}

func textOf(native any) string {
	if text, is := native.(string); is {
		return text
	}
	return fmt.Sprint(native)
}

func bound(f *float64) string {
	if f == nil {
		return "anything"
	}
	return strconv.FormatFloat(*f, 'g', -1, 64)
}

// maxFree is the depth of what a caller may nest where Apple leaves the form open.
const maxFree = 32

// free reads a value whose form Apple leaves open. A number without a fraction becomes an integer.
func (r reader) free(path string, v any, depth int) (any, error) {
	if depth == maxFree {
		return nil, r.wants(path, "is nested too deeply")
	}
	switch v := v.(type) {
	case map[string]any:
		native := make(map[string]any, len(v))
		for key, e := range v {
			if !plain(key) {
				return nil, r.wants(path, "has a key that XML cannot hold")
			}
			var err error
			if native[key], err = r.free(path, e, depth+1); err != nil {
				return nil, err
			}
		}
		return native, nil
	case []any:
		native := make([]any, len(v))
		for i, e := range v {
			var err error
			if native[i], err = r.free(path, e, depth+1); err != nil {
				return nil, err
			}
		}
		return native, nil
	case bool, []byte, time.Time:
		return v, nil
	}
	for _, read := range []func(any) (any, bool){generic(text), generic(integer), generic(float)} {
		if native, ok := read(v); ok {
			return native, nil
		}
	}
	return nil, r.wants(path, "holds %s, which a property list cannot", called(v))
}

func generic[T any](read func(any) (T, bool)) func(any) (any, bool) {
	return func(v any) (any, bool) { return read(v) }
}

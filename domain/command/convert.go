package command

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

func text(v any) (string, bool) {
	s, ok := v.(string)
	return s, ok && plain(s)
}

// plain reports whether XML can hold s.
func plain(s string) bool {
	for i, c := range s {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF ||
			c == 0xFFFD && !strings.HasPrefix(s[i:], "\uFFFD") {
			return false
		}
	}
	return true
}

// exact is the greatest integer up to which a float64 holds every one.
const exact = 1 << 53

func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		return int64(v), v == math.Trunc(v) && math.Abs(v) <= exact
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, true
		}
		f, err := v.Float64()
		return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) <= exact
	}
	return 0, false
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

func data(v any) ([]byte, bool) {
	switch v := v.(type) {
	case []byte:
		return v, true
	case string:
		b, err := base64.StdEncoding.DecodeString(v)
		return b, err == nil
	}
	return nil, false
}

func date(v any) (time.Time, bool) {
	switch v := v.(type) {
	case time.Time:
		return v, true
	case string:
		t, err := time.Parse(time.RFC3339, v)
		return t, err == nil
	}
	return time.Time{}, false
}

// called returns what a caller would call a value of JSON.
func called(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "this text"
	case bool:
		return "true or false"
	case int, int64, float64, json.Number:
		return "this number"
	case []any:
		return "an array"
	case map[string]any:
		return "a dictionary"
	}
	return fmt.Sprintf("a Go %T", v)
}

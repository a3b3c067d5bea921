package plist_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	howett "howett.net/plist"
)

// sameAsHowett checks that howett reads body as the JSON says.
func sameAsHowett(t testing.TB, body, text []byte) {
	t.Helper()
	var theirs any
	if err := howett.NewDecoder(bytes.NewReader(body)).Decode(&theirs); err != nil {
		t.Fatalf("%q is accepted, but howett says %v", body, err)
	}
	read := json.NewDecoder(bytes.NewReader(text))
	read.UseNumber()
	var ours any
	if err := read.Decode(&ours); err != nil {
		t.Fatalf("%q becomes %q, which is no JSON: %v", body, text, err)
	}
	if where := differs(ours, theirs, "root"); where != "" {
		t.Fatalf("%q becomes %s: %s is not as howett reads it", body, text, where)
	}
}

// differs returns where ours, read from JSON, differs from theirs, read by howett.
func differs(ours, theirs any, path string) string {
	switch theirs := theirs.(type) {
	case []any:
		a, is := ours.([]any)
		if !is || len(a) != len(theirs) {
			return path
		}
		for i := range a {
			if where := differs(a[i], theirs[i], fmt.Sprintf("%s[%d]", path, i)); where != "" {
				return where
			}
		}
		return ""
	case map[string]any:
		m, is := ours.(map[string]any)
		if !is || len(m) != len(theirs) {
			return path
		}
		for key := range m {
			if where := differs(m[key], theirs[key], path+"."+key); where != "" {
				return where
			}
		}
		return ""
	case howett.UID:
		return differs(ours, map[string]any{"CF$UID": uint64(theirs)}, path)
	}
	if sameScalar(ours, theirs) {
		return ""
	}
	return path
}

func sameScalar(ours, theirs any) bool {
	n, _ := ours.(json.Number)
	switch theirs := theirs.(type) {
	case uint64:
		return string(n) == strconv.FormatUint(theirs, 10)
	case int64:
		return string(n) == strconv.FormatInt(theirs, 10)
	case float32:
		return sameReal(ours, float64(theirs))
	case float64:
		return sameReal(ours, theirs)
	case []byte:
		return ours == base64.StdEncoding.EncodeToString(theirs)
	case time.Time:
		return ours == theirs.UTC().Format(time.RFC3339Nano)
	}
	return ours == theirs
}

func sameReal(ours any, f float64) bool {
	if text, is := ours.(string); is {
		return map[string]string{"NaN": "NaN", "Infinity": "+Inf", "-Infinity": "-Inf"}[text] == strconv.FormatFloat(f, 'g', -1, 64)
	}
	n, is := ours.(json.Number)
	got, err := n.Float64()
	return is && err == nil && got == f
}

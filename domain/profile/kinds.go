package profile

import "time"

// called is what people call the types.
var called = map[string]string{
	"string": "a string", "integer": "an integer", "real": "a number", "boolean": "true or false", "data": "data", "date": "a date",
	"array": "an array", "dict": "a dictionary",
}

// fits reports whether a value is of one of Apple's types. An integer is a real too.
func fits(wanted string, v any) bool {
	switch kindOf(v) {
	case called[wanted]:
		return true
	case called["integer"]:
		return wanted == "real" || wanted == "any"
	}
	return wanted == "any"
}

// kindOf returns what people call the type of a value.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return called["string"]
	case bool:
		return called["boolean"]
	case int, int64, uint64:
		return called["integer"]
	case float64:
		return called["real"]
	case []byte:
		return called["data"]
	case time.Time:
		return called["date"]
	case []any:
		return called["array"]
	case map[string]any:
		return called["dict"]
	}
	return "nothing"
}

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

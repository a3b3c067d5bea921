package catalog

import "encoding/json"

// Upcasts are the ways from the forms that events once had to those of today, by stored name, the oldest first: see
// seal.Upcast. A field that was added needs none: it is absent in what was stored before. Whoever renames a field,
// moves it to another part or gives it another meaning adds one here, and a line to testdata/history.jsonl that shows
// the old form, with what it reads as today.
func Upcasts() map[string][]func(part string, stored json.RawMessage) (json.RawMessage, error) {
	return map[string][]func(string, json.RawMessage) (json.RawMessage, error){}
}

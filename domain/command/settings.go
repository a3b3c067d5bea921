package command

import "encoding/json"

// A Settings changes settings once; users can change many of them back. The answer tells of each item by itself, and
// the device acknowledges the whole even if some failed.
//
// iOS 5, macOS 10.9, tvOS 9, visionOS 1.1, watchOS 10. It needs the Settings right. Source: Apple, SettingsCommand.
type Settings struct{ Settings []Setting }

// RequestType is Settings.
func (Settings) RequestType() string { return "Settings" }

// A Setting is one item of a Settings.
type Setting interface{ Item() string }

// MarshalJSON writes each setting with its Item.
func (s Settings) MarshalJSON() ([]byte, error) {
	items := make([]json.RawMessage, len(s.Settings))
	for i, setting := range s.Settings {
		keys, err := json.Marshal(setting)
		if err != nil {
			return nil, err
		}
		item, err := json.Marshal(map[string]string{"Item": setting.Item()})
		if err != nil {
			return nil, err
		}
		items[i] = joined(item, keys)
	}
	return json.Marshal(map[string]any{"Settings": items})
}

// joined returns two JSON objects as one. The first is not empty.
func joined(a, b []byte) []byte {
	if len(b) == len("{}") {
		return a
	}
	out := append(a[:len(a)-1:len(a)-1], ',')
	return append(out, b[1:]...)
}

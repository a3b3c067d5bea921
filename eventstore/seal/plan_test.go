package seal_test

import (
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

type named interface{ EventType() string }

type misspelt struct {
	A string `seal:"secrets"`
}

type hidden struct{ a string }

type embedding struct{ misspelt }

type nested struct {
	List []struct {
		PIN string `seal:"secret"`
	}
}

type twin struct{ A string }

type notAStruct string

func (misspelt) EventType() string   { return "x.misspelt" }
func (hidden) EventType() string     { return "x.hidden" }
func (embedding) EventType() string  { return "x.embedding" }
func (nested) EventType() string     { return "x.nested" }
func (twin) EventType() string       { return "x.misspelt" }
func (notAStruct) EventType() string { return "x.not-a-struct" }

func TestACodecRefusesWhatItCannotSealRightly(t *testing.T) {
	tests := []struct {
		name  string
		types []named
	}{
		{"a tag that means nothing", []named{misspelt{}}},
		{"a field that is not exported", []named{hidden{a: "x"}}},
		{"an embedded struct", []named{embedding{}}},
		{"a tag inside a field, which nobody would obey", []named{nested{}}},
		{"two events of one name", []named{twin{}, twin{}}},
		{"an event that is no struct", []named{notAStruct("x")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			codec := &seal.Codec[named]{Types: tt.types, Keys: &seal.MemoryKeyring{}}
			if env, err := codec.Encode(eventstore.Envelope{}, tt.types[0]); err == nil {
				t.Errorf("encoded %s", env.Data)
			}
		})
	}
}

package eventstoretest

import (
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// The checker finds what a log must not do.
func TestRegisterFindsLies(t *testing.T) {
	id := func(n byte) string { return string(append(make([]byte, len(eventstore.UUID{})-1), n)) }
	write := func(expected int64, ids string, call, back int64, out outcome) porcupine.Operation {
		return porcupine.Operation{Input: asked{append: true, expected: expected, ids: ids}, Output: told{outcome: out}, Call: call, Return: back}
	}
	read := func(version int64, last string, call, back int64) porcupine.Operation {
		return porcupine.Operation{Input: asked{}, Output: told{version: version, last: last}, Call: call, Return: back}
	}
	for _, c := range []struct {
		what    string
		history []porcupine.Operation
		good    bool
	}{
		{"one after the other", []porcupine.Operation{write(-1, id(1), 0, 1, done), read(0, id(1), 2, 3)}, true},
		{"a read that misses what was acknowledged", []porcupine.Operation{write(-1, id(1), 0, 1, done), read(-1, "", 2, 3)}, false},
		{"a read beside the write may miss it", []porcupine.Operation{write(-1, id(1), 0, 9, done), read(-1, "", 2, 3)}, true},
		{"two winners", []porcupine.Operation{write(-1, id(1), 0, 9, done), write(-1, id(2), 0, 9, done)}, false},
		{"a conflict with nobody", []porcupine.Operation{write(-1, id(1), 0, 1, conflicted)}, false},
		{"a conflict with oneself", []porcupine.Operation{write(-1, id(1), 0, 1, done), write(-1, id(1), 2, 3, conflicted)}, false},
		{"the same again", []porcupine.Operation{write(-1, id(1), 0, 1, done), write(-1, id(1), 2, 3, done), read(0, id(1), 4, 5)}, true},
		{"an unknown write that happened late", []porcupine.Operation{
			write(-1, id(1), 0, 99, unknown), read(-1, "", 2, 3), read(0, id(1), 4, 5),
		}, true},
		{"an unknown write that vanished again", []porcupine.Operation{
			write(-1, id(1), 0, 99, unknown), read(0, id(1), 2, 3), read(-1, "", 4, 5),
		}, false},
	} {
		if good := porcupine.CheckOperations(register, c.history); good != c.good {
			t.Errorf("%s: linearizable is %v, want %v", c.what, good, c.good)
		}
	}
}

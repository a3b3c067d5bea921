package projections

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// gives appends a TokenUpdate with an unlock token, which is sealed.
func (h *history) gives(id string) eventstore.Position {
	at := h.add(id, noon, token(true))
	h.events[at-1].Secret = []byte{1}
	return at
}

func kept(t *testing.T, v *Views, id string) (positions []eventstore.Position, counting int) {
	t.Helper()
	list, err := v.SecretHistory(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		positions = append(positions, s.Position)
		if s.Counts {
			counting++
		}
		if s.Counts != s.Until.IsZero() {
			t.Errorf("%s at %d: counts %v, until %v", s.Kind, s.Position, s.Counts, s.Until)
		}
	}
	return positions, counting
}

// Views of a program that forgot which secrets there had been are served until they are built anew, and then tell of all.
func TestSecretsOfThePastAreListedOnceTheViewIsBuiltAnew(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1))
	first := h.gives("d1")
	path := filepath.Join(t.TempDir(), "views.db")
	v := openAt(t, path)
	follow(t, v, h)
	if err := errors.Join(v.writer.Exec(`DROP TABLE secrets_past`), v.Close()); err != nil {
		t.Fatal(err)
	}
	v = openRenewed(t, path, renewed("secrets", 99, 1))
	if stale, asked := v.Stale(); len(stale) != 1 || stale[0] != "secrets" || !asked {
		t.Fatalf("stale: %v, asked: %v", stale, asked)
	}
	second, third := h.gives("d1"), h.gives("d1")
	follow(t, v, h)
	for range 2 {
		if list, err := v.Secrets(t.Context(), "d1"); err != nil || len(list) != 1 || list[0].Position != third {
			t.Errorf("of unlock tokens %+v counts (%v), want that of %d", list, err, third)
		}
		if got, n := kept(t, v, "d1"); n != 1 || len(got) != 3 || got[0] != third || got[1] != second || got[2] != first {
			t.Errorf("the log holds those of %v, want %d, %d, %d", got, third, second, first)
		}
		if err := v.Rebuild(t.Context(), h, inClear{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, found, err := v.SecretAt(t.Context(), "d1", device.UnlockToken, first-1); found || err != nil {
		t.Errorf("an event without a secret is found to have one (%v)", err)
	}
	h.add("d1", noon, device.SubjectErased{})
	follow(t, v, h)
	if got, _ := kept(t, v, "d1"); len(got) != 0 {
		t.Errorf("of an erased device the log holds %v", got)
	}
}

// A password that is set in the place of another does not make an order worthless that no device has seen yet.
func TestAnOrderThatNobodySawIsNoSecretOfThePast(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1))
	lock := func(uuid string) device.CommandQueued {
		return device.CommandQueued{UUID: uuid, RequestType: "SetRecoveryLock", Parameters: json.RawMessage(`{"NewPassword":"•••"}`)}
	}
	done := func(uuid string) eventstore.Position {
		h.add("d1", noon, device.CommandDelivered{UUID: uuid, RequestType: "SetRecoveryLock", Attempt: 1})
		return h.add("d1", noon, device.CommandAcknowledged{UUID: uuid, RequestType: "SetRecoveryLock"})
	}
	first := h.order("d1", noon, lock("a"))
	done("a")
	unseen := h.order("d1", noon, lock("b"))
	second := h.order("d1", noon, lock("c"))
	done("c")
	v := folded(t, h)
	if s, found, err := v.SecretAt(t.Context(), "d1", device.RecoveryLock, unseen); err != nil || !found || !s.Until.IsZero() {
		t.Errorf("the order that waits is %+v, %v, %v", s, found, err)
	}
	h.order("d1", noon, device.CommandCancelled{UUID: "b", RequestType: "SetRecoveryLock"})
	follow(t, v, h)
	if got, n := kept(t, v, "d1"); n != 1 || len(got) != 2 || got[0] != second || got[1] != first {
		t.Errorf("the log holds those of %v, want %d, %d", got, second, first)
	}
}

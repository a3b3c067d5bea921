package seal_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

func TestAKeyringIsReadBesideTheOneWhoWritesIt(t *testing.T) {
	dir := t.TempDir()
	keys := openKeyring(t, dir)
	a := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	masters := map[string]seal.MasterKey{}
	for _, m := range []seal.MasterKey{masterKey(t, dir), seal.NewLocalKey([32]byte{1})} {
		masters[m.ID()] = m
	}
	r, err := seal.OpenReadKeyring(t.Context(), filepath.Join(dir, "keys.db"), func(_ context.Context, id string) (seal.MasterKey, error) {
		if m := masters[id]; m != nil {
			return m, nil
		}
		return nil, fmt.Errorf("no master key %s", id)
	})
	if err != nil {
		t.Fatal(err)
	}
	same := func(what, subject string, want seal.DataKeys) {
		t.Helper()
		if got, err := r.Keys(t.Context(), subject); err != nil || got != want {
			t.Errorf("%s: other keys, %v", what, err)
		}
	}
	same("at first", "device-a", a)
	same("once more", "device-a", a)
	b := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-b"))
	same("made since", "device-b", b)
	if _, err := r.Keys(t.Context(), "device-c"); !errors.Is(err, seal.ErrNoKeys) {
		t.Errorf("never made: %v", err)
	}
	if err := keys.Destroy(t.Context(), "device-a"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Keys(t.Context(), "device-a"); !errors.Is(err, seal.ErrDestroyed) {
		t.Errorf("destroyed, and remembered: %v", err)
	}
	if _, err := keys.Rotate(t.Context(), seal.NewLocalKey([32]byte{1}), nil); err != nil {
		t.Fatal(err)
	}
	same("wrapped anew", "device-b", b)
	for what, err := range map[string]error{
		"make": errorOf(r.Make(t.Context(), "device-d")), "destroy": r.Destroy(t.Context(), "device-b"),
	} {
		if !errors.Is(err, seal.ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if _, err := r.Keys(t.Context(), "device-b"); err == nil {
		t.Error("a closed keyring answers")
	}
}

func errorOf(_ seal.DataKeys, err error) error { return err }

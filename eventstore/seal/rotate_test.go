package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

func TestARotationKeepsDataKeysAndLeavesNothingForTheOldMaster(t *testing.T) {
	dir := t.TempDir()
	keys := openKeyring(t, dir)
	a := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-b"))
	if err := keys.Destroy(t.Context(), "device-b"); err != nil {
		t.Fatal(err)
	}
	old := rawKeys(t, dir, "device-a")
	next := seal.NewLocalKey([32]byte{1})
	if n, err := keys.Rotate(t.Context(), next, nil); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if got := must[seal.DataKeys](t)(keys.Keys(t.Context(), "device-a")); got != a {
		t.Error("the same keyring has other keys now")
	}
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-c"))
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OpenKeyring(filepath.Join(dir, "keys.db"), masterKey(t, dir), 0); err == nil {
		t.Error("the old master key still opens it")
	}
	again := must[*seal.FileKeyring](t)(seal.OpenKeyring(filepath.Join(dir, "keys.db"), next, 0))
	defer again.Close()
	if got := must[seal.DataKeys](t)(again.Keys(t.Context(), "device-a")); got != a {
		t.Error("it has other keys when it is opened again")
	}
	if _, err := again.Keys(t.Context(), "device-b"); !errors.Is(err, seal.ErrDestroyed) {
		t.Errorf("what was destroyed: %v", err)
	}
	files := must[[]string](t)(filepath.Glob(filepath.Join(dir, "keys.db*")))
	for _, file := range files {
		if bytes.Contains(must[[]byte](t)(os.ReadFile(file)), old) {
			t.Errorf("%s still holds what the old master key unwraps", file)
		}
	}
}

func TestARotationThatWasCutOffIsSettled(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rewraps bool
	}{{"before the keys were wrapped anew", false}, {"after it, before the new master key had its name", true}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c, db := seal.Custody{Dir: dir}, filepath.Join(dir, "keys.db")
			keys := openKeyring(t, dir)
			a := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
			if err := c.Next(""); err != nil {
				t.Fatal(err)
			}
			next := must[seal.MasterKey](t)(c.OpenNext(t.Context()))
			if tt.rewraps {
				must[int](t)(keys.Rotate(t.Context(), next, nil))
			}
			if err := keys.Close(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				must[seal.MasterKey](t)(c.Open(t.Context(), db))
			}
			if left := must[[]string](t)(filepath.Glob(filepath.Join(dir, "master*next"))); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if now := masterKey(t, dir); (now.ID() == next.ID()) != tt.rewraps {
				t.Errorf("the master key is %s", now)
			}
			if got := must[seal.DataKeys](t)(openKeyring(t, dir).Keys(t.Context(), "device-a")); got != a {
				t.Error("it has other keys now")
			}
		})
	}
}

func TestACopyIsWholeWhileOthersWrite(t *testing.T) {
	dir := t.TempDir()
	keys := openKeyring(t, dir)
	a := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	to := filepath.Join(t.TempDir(), "keys.db")
	if err := seal.CopyDatabase(t.Context(), filepath.Join(dir, "keys.db"), to); err != nil {
		t.Fatal(err)
	}
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-b"))
	copied := must[*seal.FileKeyring](t)(seal.OpenKeyring(to, masterKey(t, dir), 0))
	defer copied.Close()
	if got := must[seal.DataKeys](t)(copied.Keys(t.Context(), "device-a")); got != a {
		t.Error("the copy has other keys")
	}
	if _, err := copied.Keys(t.Context(), "device-b"); !errors.Is(err, seal.ErrNoKeys) {
		t.Errorf("the copy knows what came later: %v", err)
	}
	if err := seal.CopyDatabase(t.Context(), filepath.Join(dir, "keys.db"), to); err == nil {
		t.Error("a file was overwritten")
	}
	if info := must[os.FileInfo](t)(os.Stat(to)); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

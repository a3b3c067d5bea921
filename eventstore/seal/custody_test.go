package seal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/eventstore/seal/kmstest"
)

// While the master key is changed, keys are made, used and destroyed as ever. None is lost, and none comes back.
func TestARotationBesideOtherWork(t *testing.T) {
	dir := t.TempDir()
	keys := openKeyring(t, dir)
	made := sync.Map{}
	for i := range 700 {
		subject := fmt.Sprint("device-old", i)
		made.Store(subject, must[seal.DataKeys](t)(keys.Make(t.Context(), subject)))
	}
	var work sync.WaitGroup
	var over atomic.Bool
	for w := range 3 {
		work.Go(func() {
			for i := 0; i < 40 || !over.Load(); i++ {
				subject := fmt.Sprint("device-", w, "-", i)
				k, err := keys.Make(context.Background(), subject)
				if err != nil {
					t.Error(err)
					return
				}
				made.Store(subject, k)
			}
		})
	}
	work.Go(func() {
		for i := range 20 {
			subject := fmt.Sprint("device-old", i*30)
			if err := keys.Destroy(context.Background(), subject); err != nil {
				t.Error(err)
			}
			made.Store(subject, nil)
		}
	})
	var next seal.MasterKey
	for i := range 5 {
		next = seal.NewLocalKey([32]byte{byte(i + 1)})
		if n, err := keys.Rotate(t.Context(), next, nil); err != nil || n < 680 {
			t.Errorf("rotation %d: %d, %v", i, n, err)
		}
	}
	over.Store(true)
	work.Wait()
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	again := must[*seal.FileKeyring](t)(seal.OpenKeyring(filepath.Join(dir, "keys.db"), next, 1))
	defer again.Close()
	made.Range(func(subject, was any) bool {
		k, err := again.Keys(t.Context(), subject.(string))
		if was == nil {
			if !errors.Is(err, seal.ErrDestroyed) {
				t.Errorf("%s came back: %v", subject, err)
			}
		} else if err != nil || k != was.(seal.DataKeys) {
			t.Errorf("%s: %v", subject, err)
		}
		return true
	})
}

// The master key moves from a file to a service, on to the environment, and back to a file.
func TestTheMasterKeyMoves(t *testing.T) {
	_, at := startKMS(t)
	dir := t.TempDir()
	t.Setenv("MOVED_MASTER_KEY", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=")
	c, db := seal.Custody{Dir: dir}, filepath.Join(dir, "keys.db")
	var a seal.DataKeys
	for i, to := range []string{"", at, "env:MOVED_MASTER_KEY", "file:" + filepath.Join(dir, "another.key"), ""} {
		keys := must[*seal.FileKeyring](t)(seal.OpenKeyring(db, must[seal.MasterKey](t)(c.Open(t.Context(), db)), 0))
		if i == 0 {
			a = must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
		}
		if err := c.Next(to); err != nil {
			t.Fatal(err)
		}
		if err := c.Next(at); err == nil {
			t.Error("two rotations at once")
		}
		must[int](t)(keys.Rotate(t.Context(), must[seal.MasterKey](t)(c.OpenNext(t.Context())), nil))
		if i%2 == 0 { // otherwise the crash comes here
			if err := c.Settle(); err != nil {
				t.Fatal(err)
			}
		}
		if err := keys.Close(); err != nil {
			t.Fatal(err)
		}
		keys = must[*seal.FileKeyring](t)(seal.OpenKeyring(db, must[seal.MasterKey](t)(c.Open(t.Context(), db)), 0))
		if got := must[seal.DataKeys](t)(keys.Keys(t.Context(), "device-a")); got != a {
			t.Errorf("after %q it has other keys", to)
		}
		if from := must[string](t)(c.From()); to != "" && from != to {
			t.Errorf("the master key is said to come from %s, not %s", from, to)
		}
		if left := must[[]string](t)(filepath.Glob(filepath.Join(dir, "*next"))); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		if err := keys.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := (seal.Custody{Dir: dir}).Next("nonsense"); err == nil {
		t.Error("nonsense was noted")
	}
}

// A service that goes away in the middle of it leaves the old master key in its place.
func TestARotationThatFails(t *testing.T) {
	kms, at := startKMS(t)
	dir := t.TempDir()
	keys := openKeyring(t, dir)
	a := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	for i := range 600 {
		must[seal.DataKeys](t)(keys.Make(t.Context(), fmt.Sprint("device-", i)))
	}
	next := must[seal.MasterKey](t)(seal.OpenSource(t.Context(), at, true))
	_, err := keys.Rotate(t.Context(), next, func(int) { kms.Fail(kmstest.Away) })
	if !errors.Is(err, eventstore.ErrUnavailable) {
		t.Fatalf("%v, want ErrUnavailable", err)
	}
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	keys = openKeyring(t, dir) // with the old master key
	if got := must[seal.DataKeys](t)(keys.Keys(t.Context(), "device-a")); got != a {
		t.Error("it has other keys now")
	}
	kms.Fail(kmstest.None)
	if n, err := keys.Rotate(t.Context(), next, nil); err != nil || n != 601 {
		t.Errorf("again: %d, %v", n, err)
	}
}

func TestWhereTheMasterKeyIsSaidToBe(t *testing.T) {
	dir := t.TempDir()
	c, db := seal.Custody{Dir: dir}, filepath.Join(dir, "keys.db")
	t.Setenv(seal.MasterVariable, "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=")
	if from := must[string](t)(c.From()); from != "env:"+seal.MasterVariable {
		t.Errorf("a new directory takes it from %s", from)
	}
	keys := must[*seal.FileKeyring](t)(seal.OpenKeyring(db, must[seal.MasterKey](t)(c.Open(t.Context(), db)), 0))
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	c.Source = "file:" + filepath.Join(dir, "master.key")
	if _, err := c.Open(t.Context(), db); !errors.Is(err, seal.ErrNoMasterKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "master.key")); err == nil {
		t.Error("it was made, and would open nothing")
	}
	other := masterKey(t, t.TempDir())
	if _, err := seal.OpenKeyring(db, other, 0); err == nil || !strings.Contains(err.Error(), "--master-key") {
		t.Errorf("another key: %v", err)
	}
}

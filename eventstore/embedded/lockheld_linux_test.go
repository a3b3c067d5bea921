package embedded

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A child that was forked and has not yet run its own program has what its parent had open: it must not keep a lock that
// its parent has given back.
func TestALockThatWasGivenBackIsFreeWhateverAChildHolds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db.lock")
	lock, err := lockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	held, err := syscall.Dup(int(lock.Fd())) // as a child has it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(held) })
	if _, err := lockFile(path); err == nil {
		t.Error("a lock was taken twice")
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

package embedded

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// A fileLock keeps a second process off a file. Close, or the end of the process however it comes, gives it back.
type fileLock struct{ *os.File }

// Close gives the lock back. To close the file alone would leave it, for a moment, with a child that this process is
// just starting: until it runs its own program, it has all that its parent had open.
func (f *fileLock) Close() error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.File.Close())
}

// lockFile takes the lock that keeps a second process off the log.
func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(inUse(path, err), f.Close())
	}
	if err := sign(f); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	return &fileLock{f}, nil
}

// sign writes who holds the lock.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}

// ErrInUse says that another process has the file.
var ErrInUse = errors.New("another process uses it")

type inUseError struct{ text string }

func (e inUseError) Error() string        { return e.text }
func (e inUseError) Is(target error) bool { return target == ErrInUse }

func inUse(path string, err error) error {
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	holder := "another process"
	if pid, err := os.ReadFile(path); err == nil && len(pid) > 0 {
		holder = "process " + strings.TrimSpace(string(pid))
	}
	return inUseError{fmt.Sprintf("%s uses it (it holds %s): stop that process, or choose another data directory", holder, path)}
}

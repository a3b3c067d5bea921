package embedded

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// lockFile takes the lock that keeps a second process off the log. Closing the file, or the end of the process
// however it comes, gives it back.
func lockFile(path string) (*os.File, error) {
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
	return f, nil
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

package seal

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A MasterKey wraps data keys. It has the shape of a key management service: the key itself need not be here.
// Whatever was wrapped for a subject unwraps for that subject only. Unwrap: ErrBroken if it does not.
type MasterKey interface {
	ID() string // names the key, and tells nothing about it
	Wrap(ctx context.Context, subject string, plain []byte) ([]byte, error)
	Unwrap(ctx context.Context, subject string, wrapped []byte) ([]byte, error)
}

// A LocalKey is a MasterKey in this process's memory.
type LocalKey struct {
	key [keySize]byte
	id  string
}

// OpenMasterKey reads the master key from a file, and makes it if there is none. A file that others than its owner
// may read is refused.
func OpenMasterKey(path string) (*LocalKey, error) {
	key, err := keyFile(path, "master key")
	if err != nil {
		return nil, err
	}
	return NewLocalKey(key), nil
}

// ParseMasterKey reads a master key from text, 32 bytes in base64, such as an environment variable holds.
func ParseMasterKey(text string) (*LocalKey, error) {
	key, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("the master key: %w", err)
	}
	return NewLocalKey(key), nil
}

// NewLocalKey returns the master key with the given bytes.
func NewLocalKey(key [32]byte) *LocalKey {
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("rollcall master key id"))
	return &LocalKey{key, hex.EncodeToString(mac.Sum(nil)[:8])}
}

// ID returns the key's name: part of a hash keyed by it.
func (k *LocalKey) ID() string { return k.id }

// String keeps the key out of whatever prints it.
func (k *LocalKey) String() string { return "master key " + k.id }

// GoString keeps the key out of whatever prints it.
func (k *LocalKey) GoString() string { return k.String() }

// Wrap seals the bytes for the subject.
func (k *LocalKey) Wrap(_ context.Context, subject string, plain []byte) ([]byte, error) {
	return sealBytes(k.key[:], []byte("rollcall data keys of "+subject), plain)
}

// Unwrap opens what Wrap sealed.
func (k *LocalKey) Unwrap(_ context.Context, subject string, wrapped []byte) ([]byte, error) {
	return openBytes(k.key[:], []byte("rollcall data keys of "+subject), wrapped)
}

// keyFile reads a key from a file, and makes one if there is none.
func keyFile(path, what string) (key [keySize]byte, err error) {
	text, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKey(path); err == nil {
			text, err = readPrivate(path)
		}
	}
	if err == nil {
		key, err = parseKey(text)
	}
	if err != nil {
		return key, fmt.Errorf("the %s in %s: %w", what, path, err)
	}
	return key, nil
}

func parseKey(text string) (key [keySize]byte, err error) {
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(plain) != keySize {
		return key, fmt.Errorf("it is not %d bytes in base64", keySize)
	}
	return [keySize]byte(plain), nil
}

func readPrivate(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("others than its owner may read it (mode %04o): chmod 600 it, and think of who has seen it", info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// makeKey writes a new key to the file, durable and whole before it has its name. If somebody else was faster, his
// key stands.
func makeKey(path string) error {
	var key [keySize]byte
	_, _ = rand.Read(key[:])
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = fmt.Fprintln(f, base64.StdEncoding.EncodeToString(key[:]))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

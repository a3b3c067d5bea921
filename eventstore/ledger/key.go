package ledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/mod/sumdb/note"
)

// The files of a ledger in a data directory.
const (
	KeyFile        = "ledger.key" // the signing key, for its owner alone
	PublicFile     = "ledger.pub" // the public key, which auditors get by another way than the bundle
	CheckpointFile = "checkpoint" // the newest checkpoint
)

// ErrNoKey says that a data directory has no ledger key yet.
var ErrNoKey = errors.New("there is no ledger key: start the server once, which makes it")

// A Key signs checkpoints with Ed25519. Its name is the log's origin: the first line of each checkpoint.
type Key struct {
	signer note.Signer
	public string
}

// OpenKey reads the key in a data directory, and makes it with the given origin if there is none. With no origin
// it makes none: ErrNoKey. The origin is the log's address without https://; it never changes afterwards.
func OpenKey(dir, origin string) (*Key, error) {
	file := filepath.Join(dir, KeyFile)
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && origin == "":
		return nil, ErrNoKey
	case errors.Is(err, fs.ErrNotExist):
		return makeKey(dir, origin)
	case err != nil:
		return nil, fmt.Errorf("read the ledger's key: %w", err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s holds no ledger key", file) // the error might quote the key
	}
	public, err := os.ReadFile(filepath.Join(dir, PublicFile))
	if err != nil {
		return nil, fmt.Errorf("read the ledger's public key: %w", err)
	}
	return newKey(signer, string(public))
}

func newKey(signer note.Signer, public string) (*Key, error) {
	k := &Key{signer: signer, public: strings.TrimSpace(public)}
	v, err := ParsePublic(k.public)
	if err != nil {
		return nil, err
	}
	if v.Name() != signer.Name() || v.KeyHash() != signer.KeyHash() {
		return nil, fmt.Errorf("%s and %s do not belong together", KeyFile, PublicFile)
	}
	return k, nil
}

func makeKey(dir, origin string) (*Key, error) {
	if strings.ContainsFunc(origin, func(r rune) bool { return unicode.IsSpace(r) || r == '+' }) {
		return nil, fmt.Errorf("%q cannot be the ledger's origin: it may have neither spaces nor a plus", origin)
	}
	private, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("make the ledger's key: %w", err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, fmt.Errorf("%q cannot be the ledger's origin", origin)
	}
	// The public key first: whoever finds a signing key finds its other half.
	if err := writeFile(filepath.Join(dir, PublicFile), []byte(public+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("keep the ledger's public key: %w", err)
	}
	if err := writeFile(filepath.Join(dir, KeyFile), []byte(private+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("keep the ledger's key: %w", err)
	}
	return newKey(signer, public)
}

// Origin returns the log's name.
func (k *Key) Origin() string { return k.signer.Name() }

// Public returns the public key as text: "origin+hash+key".
func (k *Key) Public() string { return k.public }

// String keeps the key out of whatever prints it.
func (k *Key) String() string { return "ledger key of " + k.Origin() }

// GoString keeps the key out of whatever prints it.
func (k *Key) GoString() string { return k.String() }

// ParsePublic reads a public key.
func ParsePublic(text string) (note.Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%q is no ledger's public key: want the line that %s holds", shorten(text), PublicFile)
	}
	return v, nil
}

// shorten keeps errors readable.
func shorten(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 80 {
		return text[:80] + "…"
	}
	return text
}

// writeFile writes a file so that it is either the old one or the new one, and durable.
func writeFile(path string, text []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

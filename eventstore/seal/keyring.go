package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
)

// ErrDestroyed says that the subject's data keys were destroyed, for good.
var ErrDestroyed = errors.New("the subject's data keys were destroyed")

// ErrNoKeys says that the keyring knows no data keys of the subject: it is another log's, or an old copy, or another server
// has made them.
var ErrNoKeys = errors.New("the keyring has no data keys of the subject: put a newer keys.db in the data directory, that of the server which has made them")

// DataKeys are the two keys of a subject, 32 random bytes each.
type DataKeys struct{ personal, secret [keySize]byte }

// NewDataKeys returns new data keys.
func NewDataKeys() DataKeys {
	var k DataKeys
	_, _ = rand.Read(k.personal[:]) // crypto/rand never fails: it ends the program instead
	_, _ = rand.Read(k.secret[:])
	return k
}

// String keeps the keys out of whatever prints them.
func (DataKeys) String() string { return "data keys" }

// GoString keeps the keys out of whatever prints them.
func (DataKeys) GoString() string { return "seal.DataKeys{}" }

// bytes returns both keys, the personal one first.
func (k DataKeys) bytes() []byte { return append(k.personal[:], k.secret[:]...) }

func dataKeysFrom(b []byte) (DataKeys, error) {
	if len(b) != 2*keySize {
		return DataKeys{}, ErrBroken
	}
	return DataKeys{[keySize]byte(b[:keySize]), [keySize]byte(b[keySize:])}, nil
}

// A Keyring keeps the data keys of subjects.
type Keyring interface {
	// Keys returns the subject's data keys. ErrNoKeys: there never were any; ErrDestroyed: they are gone.
	Keys(ctx context.Context, subject string) (DataKeys, error)

	// Make returns the subject's data keys, and makes them if there never were any: when it returns, they are
	// durable. ErrDestroyed: they are gone, and there will be no others.
	Make(ctx context.Context, subject string) (DataKeys, error)

	// Destroy destroys the subject's data keys, for good. To destroy them twice, or before there are any, is fine.
	Destroy(ctx context.Context, subject string) error

	// Erase destroys the data keys of all of a subject's events up to a version of its stream, for good; those of
	// users within it included, if the subject is the stream. Later events are sealed with other keys. To erase the
	// same twice is fine.
	Erase(ctx context.Context, subject Subject, upTo int64) error

	// Epoch returns how often the subject itself was erased before a version of its stream: it tells which of its
	// keys are those of an event.
	Epoch(subject Subject, version int64) int
}

// A MemoryKeyring keeps data keys as long as the process lives, for tests and for logs that do not outlive it. The
// zero value is empty.
type MemoryKeyring struct {
	mu   sync.Mutex
	keys map[string]*DataKeys // nil: destroyed
	past epochs
}

// Keys returns the subject's data keys.
func (r *MemoryKeyring) Keys(_ context.Context, subject string) (DataKeys, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, known := r.keys[subject]
	switch {
	case !known:
		return DataKeys{}, ErrNoKeys
	case k == nil:
		return DataKeys{}, ErrDestroyed
	}
	return *k, nil
}

// Make returns the subject's data keys, and makes them if there never were any.
func (r *MemoryKeyring) Make(ctx context.Context, subject string) (DataKeys, error) {
	k, err := r.Keys(ctx, subject)
	if !errors.Is(err, ErrNoKeys) {
		return k, err
	}
	r.mu.Lock()
	if _, known := r.keys[subject]; !known {
		k := NewDataKeys()
		r.set(subject, &k)
	}
	r.mu.Unlock()
	return r.Keys(ctx, subject)
}

// Destroy destroys the subject's data keys.
func (r *MemoryKeyring) Destroy(_ context.Context, subject string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(subject, nil)
	return nil
}

func (r *MemoryKeyring) set(subject string, k *DataKeys) {
	if r.keys == nil {
		r.keys = map[string]*DataKeys{}
	}
	r.keys[subject] = k
}

// Erase destroys the data keys of all of the subject's events up to a version.
func (r *MemoryKeyring) Erase(_ context.Context, subject Subject, upTo int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := subject.keysAt(r.past, upTo)
	r.set(own, nil)
	for name := range r.keys {
		if subject.Within == "" && strings.HasPrefix(name, own+"/") {
			r.set(name, nil)
		}
	}
	r.past = r.past.with(subject, upTo)
	return nil
}

// Epoch returns how often the subject was erased before the version.
func (r *MemoryKeyring) Epoch(subject Subject, version int64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.past.before(subject, version)
}

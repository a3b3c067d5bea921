package seal

import "context"

// Forget destroys the data keys of one subject alone that sealed its event at a version, for good. To forget the same
// twice is fine. Nothing may be sealed for the subject any more: it would get no other keys, as after an erasure.
func Forget(ctx context.Context, keys Keyring, subject Subject, version int64) error {
	return keys.Destroy(ctx, subject.keysAt(erasures{keys}, version))
}

package seal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Blobs seals what is kept of a stream outside the log, such as snapshots. A blob may hold secrets, and is sealed
// as one, for the stream as a whole: whoever destroys the keys of a user within the stream must drop its blobs too.
type Blobs struct{ Keys Keyring }

// subject names whose keys seal the stream's blobs: those of its newest events.
func (b Blobs) subject(stream eventstore.Stream) string {
	return Of(stream).keysAt(erasures{b.Keys}, math.MaxInt64)
}

// saltSize is how many random bytes each blob's key is derived from.
const saltSize = 16

// SealBlob returns the bytes sealed for the stream.
func (b Blobs) SealBlob(stream eventstore.Stream, plain []byte) ([]byte, error) {
	keys, err := b.Keys.Make(context.Background(), b.subject(stream))
	if err != nil {
		return nil, fmt.Errorf("seal a blob of %s: %w", stream, err)
	}
	salt := eventstore.NewUUID()
	key := partKey(&keys.secret, salt, blobPart)
	sealed, err := sealBytes(key[:], blobPlace(stream), pack(plain))
	return append(salt[:], sealed...), err
}

// OpenBlob returns what SealBlob sealed. ErrAbsent: its keys were destroyed; ErrBroken: it does not open.
func (b Blobs) OpenBlob(stream eventstore.Stream, sealed []byte) ([]byte, error) {
	if len(sealed) < saltSize {
		return nil, ErrBroken
	}
	keys, err := b.Keys.Keys(context.Background(), b.subject(stream))
	if errors.Is(err, ErrDestroyed) {
		return nil, ErrAbsent
	}
	if err != nil {
		return nil, fmt.Errorf("open a blob of %s: %w", stream, err)
	}
	key := partKey(&keys.secret, eventstore.UUID(sealed[:saltSize]), blobPart)
	packed, err := openBytes(key[:], blobPlace(stream), sealed[saltSize:])
	if err != nil {
		return nil, err
	}
	return unpack(packed)
}

const blobPart Part = "blob"

func blobPlace(stream eventstore.Stream) []byte {
	name := stream.String()
	aad := binary.BigEndian.AppendUint32(nil, uint32(len(name)))
	return append(append(aad, name...), blobPart...)
}

package graphql

import (
	"context"
	"fmt"
	"iter"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Streams reads streams; every log does.
type Streams interface {
	ReadStream(ctx context.Context, stream eventstore.Stream, from int64, direction eventstore.Direction) iter.Seq2[eventstore.Envelope, error]
}

// Whole returns an event with all that it says: an answer that is stored as a reference to an earlier one in its stream
// is fetched from there.
func Whole(ctx context.Context, log Streams, codec Codec, env eventstore.Envelope, event domain.Event) (domain.Event, error) {
	e, ok := event.(device.CommandAcknowledged)
	if !ok || e.SameAs == 0 {
		return event, nil
	}
	for earlier, err := range log.ReadStream(ctx, env.Stream, e.SameAs, eventstore.Forward) {
		if err != nil {
			return nil, fmt.Errorf("read what event %d refers to: %w", env.Position, err)
		}
		kept, err := codec.Decode(earlier)
		if err != nil {
			return nil, fmt.Errorf("read event %d, to which event %d refers: %w", earlier.Position, env.Position, err)
		}
		if e, ok = e.Whole(kept); ok && earlier.Version == e.SameAs {
			return e, nil
		}
		break
	}
	return nil, fmt.Errorf("event %d repeats the answer in version %d of its stream, which is another one: run rollcall verify", env.Position, e.SameAs)
}

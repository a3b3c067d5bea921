package eventstore

import "context"

// A ReaderAt is what a log adds that cannot be read from between two events, for its positions have gaps.
type ReaderAt interface {
	// ReadAt returns the event at a position; found is false if no event of this log stands there.
	ReadAt(ctx context.Context, at Position) (env Envelope, found bool, err error)
}

// A Counter is what a log adds whose events cannot be counted by their positions.
type Counter interface {
	// Count returns how many events stand up to a position, as far as that is known by now: the newest may be
	// counted a moment after they were appended.
	Count(ctx context.Context, at Position) (int64, error)
}

// ReadAt returns the event at a position of any log; found is false if there is none.
func ReadAt(ctx context.Context, log Log, at Position) (env Envelope, found bool, err error) {
	if r, ok := log.(ReaderAt); ok {
		return r.ReadAt(ctx, at)
	}
	for env, err := range log.ReadAll(ctx, at-1) {
		return env, err == nil && env.Position == at, err
	}
	return Envelope{}, false, nil
}

// Between returns how many events of any log stand after one position, up to another; see Counter.
func Between(ctx context.Context, log Log, after, last Position) (int64, error) {
	from, err := Count(ctx, log, after)
	if err != nil || last <= after {
		return 0, err
	}
	to, err := Count(ctx, log, last)
	return max(to-from, 0), err
}

// Count returns how many events of any log stand up to a position; see Counter.
func Count(ctx context.Context, log Log, at Position) (int64, error) {
	if c, ok := log.(Counter); ok {
		return c.Count(ctx, at)
	}
	return int64(at), nil
}

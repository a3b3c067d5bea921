package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A Repository loads aggregates of one kind, lets them decide, and appends what follows. It is the only way
// by which aggregates change.
//
// The zero values of its options are useful. All fields are set before first use.
type Repository[S, E any] struct {
	Log   Log
	Codec Codec[E]
	Kind  string                                 // of the streams
	Fold  func(state S, event E, at time.Time) S // Evolve: the state after the event

	Now       func() time.Time // the server's clock; time.Now if nil
	Size      func(S) int      // a state's approximate size in bytes; 1 KiB if nil
	CacheSize int              // how many bytes of folded states are kept; 64 MiB if zero, none if negative
	Snapshots Snapshots[S]     // shortens cold loads; none if nil
	Every     int64            // versions between snapshots; 200 if zero
	Logger    *slog.Logger     // slog.Default() if nil

	// Shared says that others append to the same streams. An append finds out by itself that a stream has moved on; a
	// decision by which nothing is appended is only believed after a look whether it has.
	Shared bool

	once  sync.Once
	cache *cache[S]
	locks *locks
}

// Snapshots keep folded states outside the log. Any of them may be lost at any moment without harm.
type Snapshots[S any] interface {
	// Load returns the latest state kept for the stream and its version; found is false if there is none
	// that today's fold can use.
	Load(stream Stream) (state S, version int64, found bool)
	Save(stream Stream, version int64, state S) error
}

// A Meta says who asks for a change and what it belongs to.
type Meta struct {
	Actor       Actor
	Correlation UUID
	Causation   UUID
	Evidence    []byte // the exact bytes received, kept with the first event that follows
}

// A Change is what an Update did: the state after it and the events appended, none if nothing followed.
type Change[S, E any] struct {
	State    S
	Version  int64 // of the stream; NoStream if it does not exist
	Events   []E
	Position Position // of the last event appended; 0 if none was
}

// conflicts is how often Update decides anew before it gives up.
const conflicts = 100

// Update loads the aggregate, lets decide choose the events that follow, and appends them. If somebody else
// wrote meanwhile it loads again and calls decide again; only the last call counts. An error of decide is
// returned as it stands, and nothing is appended.
func (r *Repository[S, E]) Update(ctx context.Context, id string, meta Meta, decide func(state S, at time.Time) ([]E, error)) (Change[S, E], error) {
	r.once.Do(r.init)
	unlock, err := r.locks.lock(ctx, id)
	if err != nil {
		return Change[S, E]{}, err
	}
	defer unlock()
	return r.update(ctx, id, meta, decide)
}

// update does what Update does, for whoever holds the aggregate's lock.
func (r *Repository[S, E]) update(ctx context.Context, id string, meta Meta, decide func(state S, at time.Time) ([]E, error)) (Change[S, E], error) {
	for range conflicts {
		change, err := r.attempt(ctx, id, meta, decide)
		if !errors.Is(err, ErrConflict) {
			return change, err
		}
	}
	return Change[S, E]{}, fmt.Errorf("update %s-%s: %w %d times in a row", r.Kind, id, ErrConflict, conflicts)
}

func (r *Repository[S, E]) attempt(ctx context.Context, id string, meta Meta, decide func(S, time.Time) ([]E, error)) (Change[S, E], error) {
	stream := Stream{r.Kind, id}
	state, version, err := r.load(ctx, stream)
	if err != nil {
		return Change[S, E]{}, err
	}
	at := r.Now().UTC().Truncate(time.Microsecond)
	events, err := decide(state, at)
	if err != nil || len(events) == 0 {
		if moved := r.moved(ctx, stream, entry[S]{state, version}); moved != nil {
			return Change[S, E]{}, moved
		}
		return Change[S, E]{State: state, Version: version}, err
	}
	envelopes, err := r.encode(stream, version, at, meta, events)
	if err != nil { // its subject may just have been erased elsewhere
		return Change[S, E]{}, cmp.Or(r.moved(ctx, stream, entry[S]{state, version}), err)
	}
	if err := r.append(ctx, stream, version, envelopes); err != nil {
		return Change[S, E]{}, err
	}
	for _, e := range events {
		state = r.Fold(state, e, at)
	}
	before := version
	version += int64(len(events))
	r.cache.put(id, entry[S]{state, version}, r.Size(state))
	r.snapshot(stream, before, version, state)
	return Change[S, E]{state, version, events, envelopes[len(envelopes)-1].Position}, nil
}

// moved returns ErrConflict if others may append and have done so since the state was folded, and remembers what the state
// is now.
func (r *Repository[S, E]) moved(ctx context.Context, stream Stream, known entry[S]) error {
	if !r.Shared {
		return nil
	}
	now, err := r.replay(ctx, stream, known)
	if err != nil || now.version == known.version {
		return err
	}
	r.cache.put(stream.ID, now, r.Size(now.state))
	return ErrConflict
}

// append waits for the outcome even if the caller leaves: otherwise the next one might load, and keep, a state
// that lacks the events which are just being written.
func (r *Repository[S, E]) append(ctx context.Context, stream Stream, version int64, envelopes []Envelope) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := r.Log.Append(context.WithoutCancel(ctx), stream, version, envelopes)
	if err != nil {
		r.cache.drop(stream.ID) // a conflict, or an outcome that is not known
	}
	return err
}

func (r *Repository[S, E]) encode(stream Stream, version int64, at time.Time, meta Meta, events []E) ([]Envelope, error) {
	envelopes := make([]Envelope, len(events))
	for i, e := range events {
		env := Envelope{
			ID: NewUUID(), Stream: stream, Version: version + 1 + int64(i), Time: at,
			Actor: meta.Actor, Correlation: meta.Correlation, Causation: meta.Causation,
		}
		if i == 0 {
			env.Evidence = meta.Evidence
		}
		var err error
		if envelopes[i], err = r.Codec.Encode(env, e); err != nil {
			return nil, fmt.Errorf("encode an event for %s: %w", stream.Kind, err)
		}
	}
	return envelopes, nil
}

// Current returns the aggregate as the log has it now, and its version. Unlike Load it looks whether other servers have
// written to a log that is shared.
func (r *Repository[S, E]) Current(ctx context.Context, id string) (S, int64, error) {
	now, err := r.Update(ctx, id, Meta{}, func(S, time.Time) ([]E, error) { return nil, nil })
	return now.State, now.Version, err
}

// Load returns the aggregate as it is remembered here or, if it is not, as the log has it, and its version; NoStream if it has no history.
func (r *Repository[S, E]) Load(ctx context.Context, id string) (S, int64, error) {
	r.once.Do(r.init)
	return r.load(ctx, Stream{r.Kind, id})
}

func (r *Repository[S, E]) load(ctx context.Context, stream Stream) (S, int64, error) {
	if e, ok := r.cache.get(stream.ID); ok {
		return e.state, e.version, nil
	}
	mark := r.cache.mark()
	loaded, err := r.read(ctx, stream)
	if err == nil {
		r.cache.putSince(mark, stream.ID, loaded, r.Size(loaded.state))
	}
	return loaded.state, loaded.version, err
}

// read folds the stream, from its snapshot on if there is one.
func (r *Repository[S, E]) read(ctx context.Context, stream Stream) (entry[S], error) {
	if r.Snapshots != nil {
		if state, version, found := r.Snapshots.Load(stream); found {
			e, err := r.replay(ctx, stream, entry[S]{state, version})
			if !errors.Is(err, errNoSuchEvent) {
				return e, err
			}
			r.Logger.Warn("a snapshot knows more than the log; it is not used", "stream", stream.String(), "version", version)
		}
	}
	return r.replay(ctx, stream, entry[S]{version: NoStream})
}

// errNoSuchEvent says that a snapshot was taken of events that the log does not have: it was put back to an
// older state, perhaps.
var errNoSuchEvent = errors.New("the log does not have the snapshot's last event")

// replay folds what follows e. It reads e's last event too, to see that the log has it.
func (r *Repository[S, E]) replay(ctx context.Context, stream Stream, e entry[S]) (entry[S], error) {
	known := e.version
	for env, err := range r.Log.ReadStream(ctx, stream, max(0, known), Forward) {
		if err != nil {
			return e, fmt.Errorf("read %s: %w", stream, err)
		}
		if env.Version == known {
			known = NoStream
			continue
		}
		event, err := r.Codec.Decode(env)
		if err != nil {
			return e, fmt.Errorf("read %s@%d: %w", stream, env.Version, err)
		}
		e = entry[S]{r.Fold(e.state, event, env.Time), env.Version}
	}
	if known != NoStream {
		return e, errNoSuchEvent
	}
	return e, nil
}

func (r *Repository[S, E]) snapshot(stream Stream, before, version int64, state S) {
	if r.Snapshots == nil || (before+1)/r.Every == (version+1)/r.Every {
		return
	}
	if err := r.Snapshots.Save(stream, version, state); err != nil {
		r.Logger.Warn("a snapshot was not kept; the next cold load takes longer", "stream", stream.String(), "error", err)
	}
}

func (r *Repository[S, E]) init() {
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Size == nil {
		r.Size = func(S) int { return 1 << 10 }
	}
	if r.CacheSize == 0 {
		r.CacheSize = 64 << 20
	}
	if r.Every == 0 {
		r.Every = 200
	}
	if r.Logger == nil {
		r.Logger = slog.Default()
	}
	r.cache = newCache[S](r.CacheSize)
	r.locks = newLocks()
}

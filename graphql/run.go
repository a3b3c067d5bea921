package graphql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A run is one request while it is answered: who asks, until when, and what was read already.
type run struct {
	*Door
	ctx     context.Context
	caller  handlers.Caller
	devices *loader[string, projections.Device]
	read    map[eventstore.Position]*record
}

type runKey struct{}

func newRun(ctx context.Context, d *Door) *run {
	caller, _ := handlers.CallerFrom(ctx)
	return &run{
		Door: d, ctx: ctx, caller: caller,
		devices: &loader[string, projections.Device]{load: d.Views.DevicesByID},
		read:    map[eventstore.Position]*record{},
	}
}

func runOf(ctx context.Context) *run { return ctx.Value(runKey{}).(*run) }

// A loader collects what is wanted while one level of an answer is resolved, and fetches it at once when the first
// of it is needed. A request runs in one goroutine, so it needs no lock.
type loader[K comparable, V any] struct {
	load   func(context.Context, []K) (map[K]V, error)
	wanted []K
	known  map[K]V
}

// get returns a function that graphql calls when it has asked all of the level.
func (l *loader[K, V]) get(ctx context.Context, key K, then func(v V, found bool) any) func() (any, error) {
	l.wanted = append(l.wanted, key)
	return func() (any, error) {
		return guarded(func() (any, error) {
			if err := l.fetch(ctx); err != nil {
				return nil, err
			}
			v, found := l.known[key]
			return then(v, found), nil
		})
	}
}

func (l *loader[K, V]) fetch(ctx context.Context) error {
	if l.known == nil {
		l.known = map[K]V{}
	}
	var missing []K
	asked := map[K]bool{}
	for _, k := range l.wanted {
		if _, known := l.known[k]; !known && !asked[k] {
			missing, asked[k] = append(missing, k), true
		}
	}
	l.wanted = nil
	if len(missing) == 0 {
		return nil
	}
	found, err := l.load(ctx, missing)
	for k, v := range found {
		l.known[k] = v
	}
	return err
}

// A record is an event as the log holds it, opened as far as views may see.
type record struct {
	env   eventstore.Envelope
	event domain.Event // nil if this program does not know its type
}

// record reads one event of the log, once in a request.
func (r *run) record(ctx context.Context, at eventstore.Position) (*record, error) {
	if known, ok := r.read[at]; ok {
		return known, nil
	}
	env, found, err := eventstore.ReadAt(ctx, r.Log, at)
	if err == nil && !found {
		err = errors.New("the log does not have it")
	}
	var event domain.Event
	if err == nil {
		event, err = r.Codec.Decode(env)
	}
	if err == nil {
		event, err = Whole(ctx, r.Log, r.Codec, env, event)
	}
	if err != nil && !errors.Is(err, eventstore.ErrUnknownType) { // a newer program's is shown as it stands
		return nil, fmt.Errorf("read event %d: %w", at, err)
	}
	r.read[at] = &record{env, event}
	return r.read[at], nil
}

// A moment is when a question is about: a position, and for the past the time that was asked for.
type moment struct {
	at   eventstore.Position
	time time.Time // zero for now
}

var present = moment{at: projections.Now}

func (m moment) past() bool { return m.at != projections.Now }

// moment returns the moment that the argument asOf speaks of.
func (r *run) moment(ctx context.Context, a args) (moment, error) {
	t := a.moment("asOf")
	if t.IsZero() {
		return present, nil
	}
	at, err := r.Views.PositionAt(ctx, t)
	return moment{at, t}, err
}

// caughtUp waits until the views show all that the log has now.
func (r *run) caughtUp(ctx context.Context) error {
	head, err := r.Log.Head(ctx)
	if err != nil {
		return err
	}
	return r.Views.Wait(ctx, head)
}

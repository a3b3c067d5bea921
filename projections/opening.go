package projections

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A page is events on their way into the views, opened together.
type page struct {
	envs   []eventstore.Envelope
	events []domain.Event // nil where nothing opens
	errs   []error        // why an event does not open, or not as far as some view needs it
	ready  chan struct{}  // closed when it is open; nil if nobody waits
}

// A peeker is a codec that can open what is open of an event first, and the rest only if it is wanted. One that cannot
// opens all.
type peeker interface {
	DecodeIf(env eventstore.Envelope, wanted func(domain.Event) bool) (domain.Event, error)
}

// An opener opens events for the views that have not had them: it unseals only what one of them needs. It may be used
// by many at once.
type opener struct {
	codec eventstore.Codec[domain.Event]
	peeks peeker // nil if the codec cannot
	zeros map[string]domain.Event
	needs []need
}

// A need is a view's, from the position where it stood when the opener was made.
type need struct {
	after int64
	view
}

func (e *edition) opener(codec eventstore.Codec[domain.Event]) *opener {
	o := &opener{codec: codec, zeros: zeros()}
	o.peeks, _ = codec.(peeker)
	for _, f := range e.folders {
		o.needs = append(o.needs, need{f.position, f.view})
	}
	return o
}

// open opens the events of a page.
func (o *opener) open(p *page) {
	p.events, p.errs = make([]domain.Event, len(p.envs)), make([]error, len(p.envs))
	for i, env := range p.envs {
		var err error
		if p.events[i], err = o.event(env); err != nil {
			p.errs[i] = fmt.Errorf("open %s at position %d: %w", env.Type, env.Position, err)
		}
	}
}

// event opens an event. With an error it returns what could be opened, nil if nothing.
func (o *opener) event(env eventstore.Envelope) (event domain.Event, err error) {
	if zero := o.zeros[env.Type]; zero != nil && o.skims(&env) {
		return zero, nil
	}
	err = guard(func() (err error) {
		event, err = o.decode(env, func(e domain.Event) bool { return o.wants(env, e) })
		return err
	})
	if err == nil || o.peeks == nil {
		return event, err
	}
	if guard(func() (err error) {
		event, err = o.decode(env, func(domain.Event) bool { return false })
		return err
	}) != nil {
		event = nil
	}
	return event, err
}

func (o *opener) decode(env eventstore.Envelope, wanted func(domain.Event) bool) (domain.Event, error) {
	if o.peeks == nil {
		return o.codec.Decode(env)
	}
	return o.peeks.DecodeIf(env, wanted)
}

func (o *opener) wants(env eventstore.Envelope, e domain.Event) bool {
	for i := range o.needs {
		if n := &o.needs[i]; int64(env.Position) > n.after && n.view.needs(e) {
			return true
		}
	}
	return false
}

// skims reports whether no view needs more of an event than its type.
func (o *opener) skims(env *eventstore.Envelope) bool {
	for i := range o.needs {
		if n := &o.needs[i]; int64(env.Position) > n.after && (n.view.skims == nil || !n.view.skims(env)) {
			return false
		}
	}
	return json.Valid(env.Data)
}

// zeros are all events that there are, with nothing in them, by their stored names.
var zeros = sync.OnceValue(func() map[string]domain.Event {
	all := map[string]domain.Event{}
	for _, e := range catalog.Events() {
		all[e.EventType()] = e
	}
	return all
})

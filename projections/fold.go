package projections

import (
	"errors"
	"fmt"
	"math"

	"zombiezen.com/go/sqlite"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A folding is a view on its way through the log.
type folding struct {
	view
	folder
	position int64
	time     int64           // the latest up to position
	parked   map[string]bool // streams
}

// fold folds events in one transaction: all together, or, if one of them is trouble, each on its own.
func (e *edition) fold(p *page) error {
	err := e.transact(func() error { return e.foldAll(p) })
	if err != nil && !failed(err) {
		e.logger.Warn("an event is not easily digested: folding with care", "error", err)
		err = e.transact(func() error { return e.foldEach(p) })
	}
	if err == nil {
		e.folded += len(p.envs)
	}
	return err
}

func (e *edition) transact(fold func() error) (err error) {
	e.folding.Lock()
	defer e.folding.Unlock()
	if err := e.writer.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err = fold(); err == nil {
		err = e.checkpoint()
	}
	if err = e.end(err); err != nil {
		return errors.Join(err, e.restore())
	}
	return nil
}

// foldAll folds events into all views, and stops at the first trouble.
func (e *edition) foldAll(p *page) error {
	for i := range p.envs {
		if err := p.errs[i]; err != nil {
			return err
		}
		r, err := e.record(p.envs[i], p.events[i])
		if err != nil {
			return err
		}
		for _, f := range e.folders {
			if err := f.take(e.writer, r); err != nil {
				return fmt.Errorf("view %s, position %d: %w", f.name, r.position, err)
			}
		}
	}
	for _, f := range e.folders {
		if err := guard(func() error { return f.flush(e.writer) }); err != nil {
			return fmt.Errorf("view %s: %w", f.name, err)
		}
	}
	return nil
}

// foldEach folds events one by one, undoing what a view wrote of an event that it could not digest. An event that does
// not open goes as far as it does: only the views that need the rest park its stream.
func (e *edition) foldEach(p *page) error {
	for i, env := range p.envs {
		openErr := p.errs[i]
		if openErr != nil && failed(openErr) {
			return openErr
		}
		r, err := e.record(env, p.events[i])
		if err != nil {
			return err
		}
		for _, f := range e.folders {
			if r.position <= f.position {
				continue
			}
			if err := e.foldOne(f, r, openErr); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *edition) foldOne(f *folding, r *record, openErr error) error {
	if err := e.writer.Exec("SAVEPOINT event"); err != nil {
		return err
	}
	var err error
	if openErr != nil && f.wants(r.event) {
		err = openErr
	} else if err = f.take(e.writer, r); err == nil {
		err = guard(func() error { return f.flush(e.writer) })
	}
	if err == nil {
		return e.writer.Exec("RELEASE event")
	}
	if failed(err) {
		return err
	}
	if err := errors.Join(e.writer.Exec("ROLLBACK TO event"), e.writer.Exec("RELEASE event")); err != nil {
		return err
	}
	f.forget()
	e.names.forget()
	f.step(r)
	return e.park(f, r, err, openErr == nil)
}

// wants reports whether the view needs more of an event than what is open of it. The timeline needs nothing: it shows
// the envelope even of an event whose type nobody knows.
func (f *folding) wants(e domain.Event) bool {
	if e == nil {
		return f.name != "timeline"
	}
	return f.view.needs(e)
}

func (one *view) needs(e domain.Event) bool { return one.sealed == nil || one.sealed(e) }

// take folds one event into the view, unless the view has had it or has parked its stream.
func (f *folding) take(tx Tx, r *record) error {
	if r.position <= f.position {
		return nil
	}
	if len(f.parked) == 0 || !f.parked[r.env.Stream.String()] {
		if err := guard(func() error { return f.apply(tx, r) }); err != nil {
			return err
		}
	}
	f.step(r)
	return nil
}

func (f *folding) step(r *record) { f.position, f.time = r.position, r.at }

// guard turns a panic into an error: one odd event must not end the program.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do()
}

// failed reports whether an error is the database's own trouble, for which no event can be blamed.
func failed(err error) bool {
	if errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, eventstore.ErrClosed) {
		return true // what opens the event is away
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultOK, sqlite.ResultError, sqlite.ResultConstraint, sqlite.ResultMismatch, sqlite.ResultRange,
		sqlite.ResultTooBig:
		return false
	}
	return true
}

// record prepares an event for all views; event is nil if it could not be opened.
func (e *edition) record(env eventstore.Envelope, event domain.Event) (*record, error) {
	r := &record{env: env, event: event, position: int64(env.Position), at: max(env.Time.UnixMicro(), e.latest(int64(env.Position)))}
	var err error
	if env.Stream.Kind == device.Kind {
		if r.device, err = e.names.id(devices, env.Stream.ID); err != nil {
			return r, err
		}
	}
	if event == nil {
		return r, nil
	}
	r.spoken = r.device != 0 && e.names.speaks[env.Type]
	if r.revived, err = e.names.revived(r); err != nil {
		return r, err
	}
	if r.uuid = uuidOf(r.event); r.uuid == "" {
		return r, nil
	}
	if _, queued := r.event.(device.CommandQueued); queued {
		r.command = r.position
		e.names.queued(r.device, r.uuid, r.position)
		return r, nil
	}
	r.command, err = e.names.command(r.device, r.uuid, r.position)
	if ends(r.event) != "" {
		e.names.settled(r.device, r.uuid)
	}
	return r, err
}

// latest returns the latest time of all events before a position, as the slowest view knows it.
func (e *edition) latest(position int64) int64 {
	best := int64(math.MinInt64)
	for _, f := range e.folders {
		if f.position < position {
			best = max(best, f.time)
		}
	}
	return best
}

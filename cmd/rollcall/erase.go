package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// checkKeys refuses a log that has events and lacks its keys: new ones would open nothing, and know no device.
func (h *house) checkKeys(ctx context.Context, k keeping) error {
	head, err := h.log.Head(ctx)
	if err != nil || head == 0 {
		return err
	}
	switch file := k.missingKey(h.dir); file {
	case "":
		return nil
	case "keys.db":
		return fmt.Errorf("the log in %s has events, but keys.db is missing: put the one back that belongs to it, or name with --keys the PostgreSQL that has the keys", h.dir)
	default:
		return fmt.Errorf("the log in %s has events, but %s is missing: put the keys back that belong to it", h.dir, file)
	}
}

// erase forgets all that is personal or secret about a device, or one user of it: the event first, which is then in the
// log for good, then the keys, before anybody else appends to the stream. A crash in between is made up for at the next
// start. done is false if the device was erased before and has not enrolled since.
func (h *house) erase(ctx context.Context, c handlers.Caller, whom seal.Subject, reason string) (done bool, err error) {
	if err := c.Administer(); err != nil {
		return false, err
	}
	if known, err := h.keys.Knows(ctx, whom); err != nil || whom.Within != "" && !known {
		return false, errors.Join(err, domain.Refusef(domain.NotFound, "the device has no such user"))
	}
	if err := h.keys.BeginErasing(ctx, whom); err != nil {
		return false, err
	}
	change, err := h.devices.UpdateAlone(ctx, whom.Stream.ID, handlers.Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.Erase(device.ChannelID(whom.Within), reason)
	}, func(eventstore.Change[device.Device, domain.Event]) error { return h.surelyErased(whom) })
	if _, refused := domain.Refused(err); refused {
		return false, errors.Join(err, h.keys.LeaveErasing(ctx, whom))
	}
	if err != nil {
		return false, err // whether the event was written is not known: the next start looks
	}
	return len(change.Events) > 0, nil
}

// noticeErasure destroys the keys of a subject that another server has erased, as soon as its event is read: by the views,
// which follow the log, and at the latest by whoever appends to the stream, who must have read it to be up to date. So
// nothing is sealed with keys that are gone elsewhere.
func (h *house) noticeErasure(env eventstore.Envelope) error {
	if env.Type != (device.SubjectErased{}).EventType() {
		return nil
	}
	var open struct{ Channel string }
	if err := json.Unmarshal(env.Data, &open); err != nil {
		return fmt.Errorf("read an erasure: %w", err)
	}
	h.elsewhere.notice(env)
	whom := seal.Subject{Stream: env.Stream, Within: open.Channel}
	if h.keys.Epoch(whom, env.Version+1) > h.keys.Epoch(whom, env.Version) {
		return nil
	}
	return h.keys.Erase(context.Background(), whom, env.Version)
}

// eraseAgain is how long it is waited before keys are destroyed that could not be destroyed at once.
const eraseAgain = time.Second

// surelyErased destroys the keys, however long it takes: what is appended to the stream after the event is sealed with
// other keys, and so nobody may append to it until they are gone. Only the end of the program ends it; the next start
// then does it.
func (h *house) surelyErased(whom seal.Subject) error {
	for {
		err := h.finishErasure(context.Background(), whom)
		if err == nil {
			err = h.snapshots.Drop(whom.Stream)
		}
		if err == nil || errors.Is(err, eventstore.ErrClosed) {
			return err
		}
		h.logger.Error("a device's keys are not destroyed yet; it is kept waiting", "error", err, "again", eraseAgain)
		select {
		case <-h.closing:
			return err
		case <-time.After(eraseAgain):
		}
	}
}

// finishErasures ends what a crash cut off.
func (h *house) finishErasures(ctx context.Context) error {
	subjects, err := h.keys.Erasing(ctx)
	if err != nil {
		return err
	}
	for _, whom := range subjects {
		if err := errors.Join(h.finishErasure(ctx, whom), h.snapshots.Drop(whom.Stream)); err != nil {
			return fmt.Errorf("finish erasing personal data: %w", err)
		}
	}
	return nil
}

// finishErasure destroys the keys of all that stands in the stream up to the last SubjectErased that is about the
// subject. If there is none, the erasure never began.
func (h *house) finishErasure(ctx context.Context, whom seal.Subject) error {
	name := device.SubjectErased{}.EventType()
	for env, err := range h.log.ReadStream(ctx, whom.Stream, -1, eventstore.Backward) {
		if err != nil {
			return err
		}
		if env.Type != name {
			continue
		}
		var open struct{ Channel string }
		if err := json.Unmarshal(env.Data, &open); err != nil {
			return fmt.Errorf("read an erasure: %w", err)
		}
		if open.Channel == whom.Within {
			return h.keys.Erase(ctx, whom, env.Version)
		}
	}
	return h.keys.LeaveErasing(ctx, whom)
}

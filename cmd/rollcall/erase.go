package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// checkKeys refuses a log that has events and lacks its keys: new ones would open nothing, and know no device.
func (h *house) checkKeys(ctx context.Context) error {
	head, err := h.log.Head(ctx)
	if err != nil || head == 0 {
		return err
	}
	for _, file := range []string{"master.key", "index.key", "keys.db"} {
		if _, err := os.Stat(h.path(file)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the log in %s has events, but %s is missing: put the keys back that belong to it", h.dir, file)
		}
	}
	return nil
}

// erase forgets all that is personal or secret about a device: the event first, which is then in the log for good,
// then the keys. A crash in between is made up for at the next start. Nobody else may append to the device's stream.
// done is false if the device was erased before and has not enrolled since.
func (h *house) erase(ctx context.Context, c handlers.Caller, id, reason string) (done bool, err error) {
	if err := c.Administer(); err != nil {
		return false, err
	}
	stream := eventstore.Stream{Kind: device.Kind, ID: id}
	if err := h.keys.BeginErasing(ctx, stream); err != nil {
		return false, err
	}
	change, err := h.devices.Update(ctx, id, handlers.Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.Erase(reason)
	})
	if _, refused := domain.Refused(err); refused {
		return false, errors.Join(err, h.keys.LeaveErasing(ctx, stream))
	}
	if err != nil {
		return false, err // whether the event was written is not known: the next start looks
	}
	return len(change.Events) > 0, h.finishErasure(ctx, stream)
}

// finishErasures ends what a crash cut off.
func (h *house) finishErasures(ctx context.Context) error {
	streams, err := h.keys.Erasing(ctx)
	if err != nil {
		return err
	}
	for _, stream := range streams {
		if err := h.finishErasure(ctx, stream); err != nil {
			return fmt.Errorf("finish erasing a device's personal data: %w", err)
		}
	}
	return nil
}

// finishErasure destroys the keys of all that stands in the stream up to its last SubjectErased. If there is none, the
// erasure never began.
func (h *house) finishErasure(ctx context.Context, stream eventstore.Stream) error {
	name := device.SubjectErased{}.EventType()
	for env, err := range h.log.ReadStream(ctx, stream, -1, eventstore.Backward) {
		if err != nil {
			return err
		}
		if env.Type == name {
			return h.keys.Erase(ctx, stream, env.Version)
		}
	}
	return h.keys.LeaveErasing(ctx, stream)
}

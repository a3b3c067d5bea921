package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/export"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// mostDisclosed is the most parts that are disclosed at once.
const mostDisclosed = 100_000

// Disclose gives the keys of the parts that were asked for, after the log has kept who gave them to whom.
func (h *house) Disclose(ctx context.Context, c handlers.Caller, d handlers.Disclosure) ([]handlers.PartKey, eventstore.Position, error) {
	if err := mayDisclose(c, d); err != nil {
		return nil, 0, err
	}
	if d.Position == 0 {
		head, err := h.log.Head(ctx)
		if err != nil {
			return nil, 0, err
		}
		d.Position = head
	}
	keys, events, err := h.partKeys(ctx, d)
	if err != nil {
		return nil, 0, err
	}
	if err := h.places(ctx, keys); err != nil {
		return nil, 0, err
	}
	at, err := h.recordDisclosure(ctx, c, d, events)
	if err != nil {
		return nil, 0, err
	}
	return keys, at, nil
}

// places gives the keys the places that their events have in bundles, where the log's positions are no places.
func (h *house) places(ctx context.Context, keys []handlers.PartKey) (err error) {
	other, sparse := h.log.(*elsewhere)
	if !sparse {
		return nil
	}
	for i := range keys {
		if keys[i].Place, err = other.place(ctx, keys[i].Position); err != nil {
			return err
		}
	}
	return nil
}

// mayDisclose refuses those who may not: secrets are for administrators to give, all else for auditors too.
func mayDisclose(c handlers.Caller, d handlers.Disclosure) error {
	if len(d.Parts) == 0 {
		return domain.Refusef(domain.Invalid, "say which parts are disclosed: personal, secret, evidence")
	}
	if slices.Contains(d.Parts, string(seal.Secret)) {
		return c.Administer()
	}
	return c.Audit()
}

// partKeys returns the keys of the parts, and of how many events they are.
func (h *house) partKeys(ctx context.Context, d handlers.Disclosure) (keys []handlers.PartKey, events int, err error) {
	for env, err := range h.withOrders(ctx, d, h.question(ctx, d)) {
		if err != nil {
			return nil, 0, err
		}
		if order := d.Device != "" && env.Stream.Kind == bulk.Kind; !order && !inQuestion(d, env) {
			continue
		}
		before := len(keys)
		for _, part := range d.Parts {
			key, err := h.codec.PartKey(env, seal.Part(part))
			if errors.Is(err, seal.ErrAbsent) {
				continue
			}
			if err != nil {
				return nil, 0, fmt.Errorf("the key of event %d: %w", env.Position, err)
			}
			keys = append(keys, handlers.PartKey{Position: env.Position, Part: part, Key: key})
		}
		if len(keys) > before {
			events++
		}
		if len(keys) > mostDisclosed {
			return nil, 0, domain.WithHint(domain.Refusef(domain.Invalid, "these are more than %d sealed parts", mostDisclosed), "narrow the question: a device, or a shorter time")
		}
	}
	return keys, events, nil
}

// question yields the events among which the ones in question are.
func (h *house) question(ctx context.Context, d handlers.Disclosure) iter.Seq2[eventstore.Envelope, error] {
	if d.Device != "" {
		return h.log.ReadStream(ctx, eventstore.Stream{Kind: device.Kind, ID: d.Device}, 0, eventstore.Forward)
	}
	return h.log.ReadAll(ctx, 0)
}

// withOrders yields the events, and after those of one device the orders to many devices that its commands refer to: they
// hold what it was told.
func (h *house) withOrders(ctx context.Context, d handlers.Disclosure, events iter.Seq2[eventstore.Envelope, error]) iter.Seq2[eventstore.Envelope, error] {
	if d.Device == "" {
		return events
	}
	return func(yield func(eventstore.Envelope, error) bool) {
		var orders []string
		for env, err := range events {
			if !yield(env, err) {
				return
			}
			if id := bulkOf(env); id != "" && inQuestion(d, env) && !slices.Contains(orders, id) {
				orders = append(orders, id)
			}
		}
		for _, id := range orders {
			for env, err := range h.log.ReadStream(ctx, eventstore.Stream{Kind: bulk.Kind, ID: id}, 0, eventstore.Forward) {
				if env.Type == (bulk.Ordered{}).EventType() || err != nil {
					if !yield(env, err) {
						return
					}
				}
				break // it is the first
			}
		}
	}
}

// inQuestion reports whether the question is about an event of this place and time.
func inQuestion(d handlers.Disclosure, env eventstore.Envelope) bool {
	return env.Position <= d.Position && (d.From.IsZero() || !env.Time.Before(d.From)) && (d.To.IsZero() || env.Time.Before(d.To))
}

// bulkOf returns the order to many devices that an event refers to.
func bulkOf(env eventstore.Envelope) string {
	var open struct{ Bulk string }
	if env.Type == (device.CommandQueued{}).EventType() {
		_ = json.Unmarshal(env.Data, &open) // what cannot be read refers to nothing
	}
	return open.Bulk
}

// recordDisclosure appends what is disclosed: to the device's stream if it is about one, else to a stream of its own.
func (h *house) recordDisclosure(ctx context.Context, c handlers.Caller, d handlers.Disclosure, events int) (eventstore.Position, error) {
	if d.Device != "" {
		change, err := h.devices.Update(ctx, d.Device, handlers.Meta(ctx, c), func(dev device.Device, _ time.Time) ([]domain.Event, error) {
			return dev.Disclose(device.Disclosed{
				Parts: d.Parts, From: d.From, To: d.To, Position: int64(d.Position), Events: events, Recipient: d.Recipient, Reason: d.Reason,
			})
		})
		return change.Position, err
	}
	change, err := h.exports.Update(ctx, eventstore.NewUUID().String(), handlers.Meta(ctx, c), func(x export.Export, _ time.Time) ([]domain.Event, error) {
		return x.Disclose(export.Disclosed{
			Parts: d.Parts, From: d.From, To: d.To, Position: int64(d.Position), Events: events, Recipient: d.Recipient, Reason: d.Reason,
		})
	})
	return change.Position, err
}

// Package bulk passes orders to many devices on to each of them.
//
// A Worker watches the log for orders. It gives some devices at a time the command that is theirs, in the name of whoever
// gave the order, and then has the order's stream keep how far it has come and who refused. Killed in between, it gives the
// same devices the same commands, which decide nothing twice. It takes a few devices at the same time and no more, so that
// devices which speak meanwhile do not wait behind it. Of an order that is cancelled it takes back what waits.
package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Worker passes orders on. All fields are set before Run; those from Width on are useful at zero.
type Worker struct {
	Log     eventstore.Log
	Views   *projections.Views
	Orders  *eventstore.Repository[bulk.Order, domain.Event]
	Devices *eventstore.Repository[device.Device, domain.Event]

	Width  int           // devices that are given an order at the same time; 2 if zero: more slow down devices that speak meanwhile
	Step   int           // devices between two notes of how far it has come; 500 if zero
	Again  time.Duration // before what failed is tried again; 2 s if zero
	Logger *slog.Logger  // slog.Default() if nil
}

// Run works until ctx ends, which is no error. One Run at a time; with several servers each may run one.
func (w *Worker) Run(ctx context.Context) error {
	w.prepare()
	head, err := w.Log.Head(ctx)
	if err != nil {
		return gone(ctx, fmt.Errorf("find the end of the log: %w", err))
	}
	w.settle(ctx, func() error { return w.begun(ctx, head) })
	for batch, err := range w.Log.Follow(ctx, head) {
		if err != nil {
			return gone(ctx, fmt.Errorf("follow the log: %w", err))
		}
		for _, env := range batch {
			if env.Stream.Kind == bulk.Kind && (env.Type == ordered || env.Type == cancelled) {
				w.settle(ctx, func() error { return w.carry(ctx, env.Stream.ID) })
			}
		}
	}
	return nil
}

// The stored names of the events that are work.
var (
	ordered   = bulk.Ordered{}.EventType()
	cancelled = bulk.Cancelled{}.EventType()
)

func (w *Worker) prepare() {
	if w.Width == 0 {
		w.Width = 2
	}
	if w.Step == 0 {
		w.Step = 500
	}
	if w.Again == 0 {
		w.Again = 2 * time.Second
	}
	if w.Logger == nil {
		w.Logger = slog.Default()
	}
}

// gone returns err, unless the work was ended anyhow.
func gone(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
		return nil
	}
	return err
}

// settle does what is to be done, again and again until it is done.
func (w *Worker) settle(ctx context.Context, do func() error) {
	for {
		err := do()
		if err == nil || ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
			return
		}
		w.Logger.ErrorContext(ctx, "an order to many devices could not be passed on", "error", err, "again", w.Again)
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.Again):
		}
	}
}

// begun carries on what others have begun.
func (w *Worker) begun(ctx context.Context, head eventstore.Position) error {
	if err := w.Views.Wait(ctx, head); err != nil {
		return fmt.Errorf("wait for the views: %w", err)
	}
	ids, err := w.Views.BulkToDo(ctx)
	if err != nil {
		return fmt.Errorf("list the orders to many devices: %w", err)
	}
	for _, id := range ids {
		if err := w.carry(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// carry passes one order on to all whom it has not reached, or takes it back.
func (w *Worker) carry(ctx context.Context, id string) error {
	order, _, err := w.Orders.Current(ctx, id)
	for err == nil && len(order.Next(1)) > 0 {
		order, err = w.pass(ctx, id, order)
	}
	if err != nil || !order.Cancelled {
		return err
	}
	return w.takeBack(ctx, id, order)
}

// actor is who the Worker is in the log, where it speaks of an order in its own name.
var actor = eventstore.Actor{Kind: eventstore.ByWorker, ID: "bulk", Name: "bulk"}

// pass passes an order on to some devices, and returns it as it is then.
func (w *Worker) pass(ctx context.Context, id string, order bulk.Order) (bulk.Order, error) {
	meta, err := w.meta(ctx, id, ordered)
	if err != nil {
		return order, err
	}
	some := order.Next(w.Step)
	refused, err := w.each(ctx, some, func(one string) error {
		_, err := w.Devices.Update(ctx, one, meta, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Order("", command(id, one, order.Ordered), order.Ordered.NoPush, at)
		})
		return err
	})
	if err != nil {
		return order, err
	}
	change, err := w.Orders.Update(ctx, id, eventstore.Meta{Actor: actor, Correlation: meta.Correlation}, func(now bulk.Order, _ time.Time) ([]domain.Event, error) {
		return now.PassOn(order.Reached, len(some), refused)
	})
	return change.State, err
}

// command is the order as one device gets it.
func command(id, one string, what bulk.Ordered) device.Order {
	var brings device.Thing
	_ = json.Unmarshal(what.Brings, &brings) // it is for people: what cannot be read brings nothing
	return device.Order{
		Brings: brings,
		UUID:   bulk.CommandUUID(id, one), RequestType: what.RequestType, Parameters: what.Parameters, Priority: what.Priority,
		NotBefore: what.NotBefore, ExpiresAt: what.ExpiresAt, SupersedeKey: what.SupersedeKey, Reason: what.Reason,
		Key: "bulk " + id, Renews: what.Renews, PassesHold: what.PassesHold, Clears: what.Clears, Password: what.Password, Bulk: id,
	}
}

// each does something for each device, some at the same time, and returns who refused, in the order of the devices.
func (w *Worker) each(ctx context.Context, devices []string, do func(one string) error) ([]bulk.Refused, error) {
	var g errgroup.Group
	g.SetLimit(w.Width)
	var mu sync.Mutex
	said := map[string]bulk.Refused{}
	for _, one := range devices {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := do(one)
			if r, refused := domain.Refused(err); refused {
				mu.Lock()
				defer mu.Unlock()
				said[one] = bulk.Refused{Device: one, Code: r.Reason.String(), Reason: r.Text}
				return nil
			}
			return err
		})
	}
	err := g.Wait()
	var refused []bulk.Refused
	for _, one := range devices {
		if r, did := said[one]; did {
			refused = append(refused, r)
		}
	}
	return refused, err
}

// meta says on whose behalf the Worker acts: whoever caused the newest event of this type in the order's stream.
func (w *Worker) meta(ctx context.Context, id, eventType string) (eventstore.Meta, error) {
	for env, err := range w.Log.ReadStream(ctx, eventstore.Stream{Kind: bulk.Kind, ID: id}, -1, eventstore.Backward) {
		if err != nil {
			return eventstore.Meta{}, fmt.Errorf("read who gave the order %s: %w", id, err)
		}
		if env.Type == eventType {
			return eventstore.Meta{Actor: env.Actor, Correlation: env.Correlation, Causation: env.ID}, nil
		}
	}
	return eventstore.Meta{}, fmt.Errorf("the order %s has no %s", id, eventType)
}

// takeBack cancels what waits of an order. What has ended meanwhile is left as it is.
func (w *Worker) takeBack(ctx context.Context, id string, order bulk.Order) error {
	head, err := w.Log.Head(ctx)
	if err == nil {
		err = w.Views.Wait(ctx, head)
	}
	if err != nil {
		return fmt.Errorf("wait for the views: %w", err)
	}
	waiting, err := w.Views.BulkWaiting(ctx, id)
	if err != nil || len(waiting) == 0 {
		return err
	}
	meta, err := w.meta(ctx, id, cancelled)
	if err != nil {
		return err
	}
	uuids, devices := map[string]string{}, make([]string, len(waiting))
	for i, one := range waiting {
		uuids[one.Device], devices[i] = one.UUID, one.Device
	}
	_, err = w.each(ctx, devices, func(one string) error {
		_, err := w.Devices.Update(ctx, one, meta, func(d device.Device, _ time.Time) ([]domain.Event, error) {
			return d.Cancel(uuids[one], order.Reason)
		})
		return err
	})
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/masterkey"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A custodian does what is to be done with a house's keys while it is lived in. It fulfils graphql.Custody.
type custodian struct {
	*house
	views *projections.Views
	asked chan rotation

	mu    sync.Mutex
	state handlers.MasterKey
}

func newCustodian(h *house, views *projections.Views) *custodian {
	return &custodian{house: h, views: views, asked: make(chan rotation)}
}

// Erase forgets a device, or a user of it: in the log, in all that is kept in memory, and in the views.
func (c *custodian) Erase(ctx context.Context, who handlers.Caller, deviceID string, channel device.ChannelID, reason string) error {
	whom := seal.Subject{Stream: eventstore.Stream{Kind: device.Kind, ID: deviceID}, Within: string(channel)}
	defer c.elsewhere.notOf(whom.Stream)()
	if _, err := c.erase(ctx, who, whom, reason); err != nil {
		return err
	}
	head, err := c.log.Head(ctx)
	if err == nil {
		err = c.views.Wait(ctx, head)
	}
	if err != nil {
		return err
	}
	return c.views.Compact(ctx)
}

// A rotation is one that somebody asked for.
type rotation struct {
	meta   eventstore.Meta
	reason string
	done   chan error
}

// run changes the master key whenever somebody asks for it, until ctx ends.
func (c *custodian) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-c.asked:
			c.set(func(s *handlers.MasterKey) { s.Done, s.Failed = 0, "" })
			err := c.rotate(ctx, r.meta, r.reason, func(done int) {
				c.set(func(s *handlers.MasterKey) { s.Done = done })
			})
			c.set(func(s *handlers.MasterKey) {
				if s.Rotating = false; err != nil {
					s.Failed = "the master key was not changed; the server's log says why"
				}
			})
			if err != nil {
				c.logger.Error("the master key was not changed", "error", err)
			}
			r.done <- err
		}
	}
}

func (c *custodian) set(change func(*handlers.MasterKey)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.state)
}

// MasterKey returns how the master key stands.
func (c *custodian) MasterKey() handlers.MasterKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	s.Name = c.keys.MasterKey()
	if from, err := c.custody.From(); err == nil {
		s.Source = sourceKind(from)
	}
	return s
}

// Rotate changes the master key, and waits for it as long as ctx allows: it then goes on by itself. Where the next one
// comes from only this machine may say, for it may be a program.
func (c *custodian) Rotate(ctx context.Context, who handlers.Caller, to, reason string) (handlers.MasterKey, error) {
	if err := who.Administer(); err != nil {
		return handlers.MasterKey{}, err
	}
	if to != "" && !atHome(ctx) {
		return handlers.MasterKey{}, domain.WithHint(domain.Refusef(domain.Forbidden, "only the server's own machine may say where the next master key comes from"),
			"run rollcall keys rotate --to there")
	}
	r := rotation{handlers.Meta(ctx, who), reason, make(chan error, 1)}
	if err := c.begin(ctx, r, to); err != nil {
		return handlers.MasterKey{}, err
	}
	select {
	case err := <-r.done:
		if err != nil {
			err = domain.Refusef(domain.Conflict, "%s", c.MasterKey().Failed)
		}
		return c.MasterKey(), err
	case <-ctx.Done():
		return c.MasterKey(), nil
	}
}

// begin has the rotation begun, unless one is under way.
func (c *custodian) begin(ctx context.Context, r rotation, to string) error {
	c.mu.Lock()
	busy := c.state.Rotating
	c.state.Rotating = true
	c.mu.Unlock()
	if busy {
		return domain.Refusef(domain.Conflict, "the master key is being changed already")
	}
	err := c.custody.Next(to)
	if err != nil {
		err = domain.Refusef(domain.Invalid, "%v", err)
	} else {
		select {
		case c.asked <- r:
			return nil
		case <-ctx.Done():
			err = errors.Join(ctx.Err(), c.custody.Leave())
		}
	}
	c.set(func(s *handlers.MasterKey) { s.Rotating = false })
	return err
}

// rotate wraps all data keys with the next master key, whose source is noted already. Killed at any moment, it leaves a
// directory that opens.
func (h *house) rotate(ctx context.Context, meta eventstore.Meta, reason string, tell func(int)) error {
	next, err := h.custody.OpenNext(ctx)
	if err != nil {
		return errors.Join(err, h.custody.Leave())
	}
	before := h.keys.MasterKey()
	count, err := h.keys.Rotate(ctx, next, tell)
	if errors.Is(err, seal.ErrUnsettled) {
		return err // the next start settles it
	}
	if err != nil && h.keys.MasterKey() == before {
		return errors.Join(err, h.custody.Leave())
	}
	if err := errors.Join(err, h.custody.Settle()); err != nil {
		return err
	}
	from, err := h.custody.From()
	if err != nil {
		return err
	}
	_, err = h.masterkeys.Update(ctx, masterkey.ID, meta, func(m masterkey.MasterKey, _ time.Time) ([]domain.Event, error) {
		return m.Rotate(masterkey.Rotated{Before: before, Master: next.ID(), Source: sourceKind(from), Subjects: count, Reason: reason})
	})
	if err != nil {
		return fmt.Errorf("the master key was changed, but the log does not say so: %w", err)
	}
	return nil
}

package handlers

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Groups is the use case of people who sort devices into groups. Callers who may only read are refused. Each change
// returns the position after which views show it; 0 if nothing was to be done.
type Groups struct {
	Groups *eventstore.Repository[group.Group, domain.Event]
}

// Create makes a group. The rule, if there is one, was checked by whoever knows what rules can say.
func (g *Groups) Create(ctx context.Context, c Caller, id string, d group.Definition) (eventstore.Position, error) {
	if err := group.CheckID(id); err != nil {
		return 0, err
	}
	return g.decide(ctx, c, id, func(g group.Group) ([]domain.Event, error) { return g.Create(d) })
}

// Change gives a group another name, description or rule.
func (g *Groups) Change(ctx context.Context, c Caller, id string, d group.Definition) (eventstore.Position, error) {
	return g.decide(ctx, c, id, func(g group.Group) ([]domain.Event, error) { return g.Change(d) })
}

// Add puts devices, named by pseudonym, into a group.
func (g *Groups) Add(ctx context.Context, c Caller, id string, devices []string) (eventstore.Position, error) {
	return g.decide(ctx, c, id, func(g group.Group) ([]domain.Event, error) { return g.Add(devices) })
}

// Remove takes devices, named by pseudonym, out of a group.
func (g *Groups) Remove(ctx context.Context, c Caller, id string, devices []string) (eventstore.Position, error) {
	return g.decide(ctx, c, id, func(g group.Group) ([]domain.Event, error) { return g.Remove(devices) })
}

// Delete gives a group up.
func (g *Groups) Delete(ctx context.Context, c Caller, id, reason string) (eventstore.Position, error) {
	return g.decide(ctx, c, id, func(g group.Group) ([]domain.Event, error) { return g.Delete(reason) })
}

func (g *Groups) decide(ctx context.Context, c Caller, id string, decide func(group.Group) ([]domain.Event, error)) (eventstore.Position, error) {
	if err := c.Change(); err != nil {
		return 0, err
	}
	change, err := g.Groups.Update(ctx, id, Meta(ctx, c), func(g group.Group, _ time.Time) ([]domain.Event, error) { return decide(g) })
	return change.Position, err
}

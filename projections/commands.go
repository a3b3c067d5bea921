package projections

import (
	_ "embed"
	"slices"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

//go:embed commands.sql
var commandsSQL string

// states are the states of commands in the order of their stored numbers, from 1. Never reorder them.
var states = []CommandState{
	Queued, Delivered, Deferred, Acknowledged, Failed, FormatRejected, Cancelled, Superseded, Expired,
}

func (s CommandState) number() int { return slices.Index(states, s) + 1 }

// commands answers: what was ordered for whom, how far has it come, and what waits?
type commands struct {
	names *names
	ended [10]int64 // counts since the last flush, by state; of those queued at 0
}

func newCommands(n *names) folder { return &commands{names: n} }

func (c *commands) forget() { c.ended = [10]int64{} }

func (c *commands) flush(tx Tx) error {
	for state, n := range c.ended {
		if n == 0 {
			continue
		}
		if err := tx.Exec(`INSERT INTO command_counts (state, n) VALUES (?, ?)
			ON CONFLICT (state) DO UPDATE SET n = n + excluded.n`, state, n); err != nil {
			return err
		}
		c.ended[state] = 0
	}
	return nil
}

func (c *commands) apply(tx Tx, r *record) error {
	if e, erased := r.event.(device.SubjectErased); erased {
		if e.Channel != "" {
			return c.userErased(tx, r, e.Channel)
		}
		return c.erased(tx, r)
	}
	if r.command == 0 {
		return nil
	}
	switch e := r.event.(type) {
	case device.CommandQueued:
		return c.queued(tx, r, e)
	case device.CommandDelivered:
		return tx.Exec(`UPDATE commands SET state = 2, deliveries = ?, delivered = COALESCE(delivered, ?), handed = ?
			WHERE position = ?`, e.Attempt, r.position, r.position, r.command)
	case device.CommandDeferred:
		return tx.Exec(`UPDATE commands SET state = 3, deferrals = ?, deferred = ? WHERE position = ?`,
			e.Deferrals, r.position, r.command)
	case device.CommandCancelled:
		return c.settled(tx, r, Cancelled, e.Reason)
	case device.CommandSuperseded:
		return c.settled(tx, r, Superseded, or(e.By, e.Reason))
	case device.ResultUnmatched:
		return nil
	}
	return c.settled(tx, r, ends(r.event), "")
}

func (c *commands) queued(tx Tx, r *record, e device.CommandQueued) error {
	requestType, err := c.names.id(requestTypes, e.RequestType)
	if err != nil {
		return err
	}
	channel, err := c.names.channel(e.Channel)
	if err != nil {
		return err
	}
	actor, err := c.names.actorOf(r)
	if err != nil {
		return err
	}
	c.ended[0]++
	return tx.Exec(`INSERT INTO commands (position, device, channel, uuid, type, actor, state, waiting, priority,
		not_before, expires_at, supersede_key, reason, no_push, deliveries, deferrals)
		VALUES (?, ?, ?, ?, ?, ?, 1, 1, ?, ?, ?, ?, ?, ?, 0, 0)`,
		r.position, r.device, channel, e.UUID, requestType, actor, e.Priority, orNull(microseconds(e.NotBefore)),
		orNull(microseconds(e.ExpiresAt)), textOrNull(e.SupersedeKey), textOrNull(e.Reason), e.NoPush)
}

func (c *commands) settled(tx Tx, r *record, as CommandState, because string) error {
	if as == "" {
		return nil
	}
	c.ended[as.number()]++
	return tx.Exec(`UPDATE commands SET state = ?, waiting = 0, settled = ?, because = ? WHERE position = ?`,
		as.number(), r.position, textOrNull(because), r.command)
}

// erased forgets what people wrote about the commands of a device whose personal data was erased.
func (c *commands) erased(tx Tx, r *record) error {
	return tx.Exec(`UPDATE commands SET reason = NULL, because = CASE WHEN state = ? THEN because END WHERE device = ?`,
		Superseded.number(), r.device)
}

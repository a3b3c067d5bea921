package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/projections"
)

// keysCmd works on the keys of a server that does not run.
type keysCmd struct {
	Rotate       keysRotateCmd `cmd:"" help:"Make a new master key, and wrap all data keys with it."`
	EraseSubject keysEraseCmd  `cmd:"" name:"erase-subject" help:"Destroy the keys of a device and its users: all that is personal or secret about them is gone for good, from backups of the log too."`
}

type keysRotateCmd struct{ stopped }

// Run fulfils kong's command. Killed at any moment, it leaves a directory that opens: the next start settles it.
func (c *keysRotateCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(h *house) error {
		next, err := seal.OpenMasterKey(seal.NextMasterKey(h.path("master.key")))
		if err != nil {
			return err
		}
		count, err := h.keys.Rotate(ctx, next)
		if err != nil {
			return err
		}
		if err := seal.SettleRotation(h.path("keys.db"), h.path("master.key")); err != nil {
			return err
		}
		fmt.Fprintf(c.out(), "the master key is %s now; %d subjects' keys were wrapped anew\n", next.ID(), count)
		return nil
	})
}

type keysEraseCmd struct {
	stopped
	Device string `arg:"" help:"Its UDID, EnrollmentID, serial number or pseudonym."`
	Reason string `required:"" help:"Why. It stays in the log for everybody to read: name nobody in it."`
}

// Run fulfils kong's command.
func (c *keysEraseCmd) Run(ctx context.Context) error {
	var snapshots string
	err := c.with(ctx, func(h *house) error {
		views, err := c.views(ctx, h)
		if err != nil {
			return err
		}
		snapshots = h.path("snapshots.db")
		return errors.Join(c.erase(ctx, h, views), views.Close())
	})
	if err != nil {
		return err
	}
	// Folded states of the device are sealed with keys that are gone; the others are made again.
	return projections.Remove(snapshots)
}

func (c *keysEraseCmd) erase(ctx context.Context, h *house, views *projections.Views) error {
	id, err := h.whichDevice(ctx, views, c.Device)
	if err != nil {
		return err
	}
	done, err := h.erase(ctx, shell, id, c.Reason)
	if err != nil {
		return err
	}
	if err := errors.Join(c.catchUp(ctx, h, views), views.Compact()); err != nil {
		return err
	}
	if !done {
		fmt.Fprintf(c.out(), "device %s was erased before\n", id)
		return nil
	}
	fmt.Fprintf(c.out(), "the personal data of device %s and its users is gone, in the log and the views\n", id)
	fmt.Fprintln(c.err(), "backups of keys.db still open what was sealed before: destroy them")
	return nil
}

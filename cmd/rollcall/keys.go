package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// keysCmd works on the keys of a data directory: through the server that runs there, or by itself if none does.
type keysCmd struct {
	Rotate       keysRotateCmd `cmd:"" help:"Make a new master key, or go over to another one, and wrap all data keys with it."`
	Move         keysMoveCmd   `cmd:"" help:"Move the data keys from keys.db to a PostgreSQL, where servers that share a log share them (while the server is stopped)."`
	EraseSubject keysEraseCmd  `cmd:"" name:"erase-subject" help:"Destroy the keys of a device and its users, or of one user: all that is personal or secret about them is gone for good, from backups of the log too."`
}

type keysRotateCmd struct {
	stopped
	To     string `placeholder:"WHERE" help:"Where the next master key comes from: file:PATH, env:NAME, exec:PROGRAM or https://…; a running server must find it there. A new file in the place of the old one if not set."`
	Reason string `default:"rollcall keys rotate" help:"Why. It stays in the log."`
}

// Run fulfils kong's command. Killed at any moment, it leaves a directory that opens: the next start settles it.
func (c *keysRotateCmd) Run(ctx context.Context) error {
	to, err := absolute(c.To)
	if err != nil {
		return err
	}
	if c.inUse() {
		return c.ask(ctx, to)
	}
	return c.with(ctx, func(h *house) error {
		if err := h.custody.Next(to); err != nil {
			return err
		}
		p := newProgress(c.err(), "wrapping data keys", 0)
		defer p.end()
		if err := h.rotate(ctx, handlers.Meta(ctx, shell), c.Reason, func(done int) { p.count(int64(done), int64(done)) }); err != nil {
			return err
		}
		c.tell(h.keys.MasterKey(), to)
		return nil
	})
}

func (c *keysRotateCmd) tell(name, to string) {
	fmt.Fprintf(c.out(), "the master key is %s now; all data keys were wrapped anew\n", name)
	if to != "" && c.MasterKey != "" {
		fmt.Fprintf(c.err(), "start the server with --master-key %s from now on\n", to)
	}
}

// absolute makes the path of a source good for a server that runs elsewhere.
func absolute(source string) (string, error) {
	kind, path, _ := strings.Cut(source, ":")
	if kind == "file" || kind == "exec" && strings.Contains(path, "/") {
		full, err := filepath.Abs(path)
		return kind + ":" + full, err
	}
	return source, nil
}

// ask has a running server do it, and waits.
func (c *keysRotateCmd) ask(ctx context.Context, to string) error {
	type key struct {
		Name, Failed string
		Rotating     bool
	}
	var began struct{ RotateMasterKey key }
	err := askServer(ctx, c.Data, `mutation($to: String, $reason: String!) { rotateMasterKey(to: $to, reason: $reason) { name failed rotating } }`,
		map[string]any{"to": to, "reason": c.Reason}, &began)
	for now := began.RotateMasterKey; err == nil; {
		if !now.Rotating {
			if now.Failed != "" {
				return errors.New(now.Failed)
			}
			c.tell(now.Name, to)
			return nil
		}
		var stands struct{ MasterKey key }
		select {
		case <-time.After(time.Second):
			err = askServer(ctx, c.Data, `{ masterKey { name failed rotating } }`, nil, &stands)
		case <-ctx.Done():
			err = ctx.Err()
		}
		now = stands.MasterKey
	}
	return err
}

type keysEraseCmd struct {
	stopped
	Device string `arg:"" help:"Its UDID, EnrollmentID, serial number or pseudonym."`
	User   string `placeholder:"USER" help:"This user of the device alone: UserID, short name or pseudonym."`
	Reason string `required:"" help:"Why. It stays in the log for everybody to read: name nobody in it."`
}

// Run fulfils kong's command.
func (c *keysEraseCmd) Run(ctx context.Context) error {
	if c.inUse() {
		return c.ask(ctx)
	}
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
	return projections.Remove(snapshots) // states are folded again
}

// ask has a running server do it.
func (c *keysEraseCmd) ask(ctx context.Context) error {
	var before struct {
		Log struct {
			Head int64 `json:",string"`
		}
	}
	err := askServer(ctx, c.Data, `{ log { head } }`, nil, &before)
	if err != nil {
		return err
	}
	var done struct{ EraseSubject struct{ ID string } }
	err = askServer(ctx, c.Data, `mutation($device: ID!, $user: ID, $reason: String!) { eraseSubject(device: $device, user: $user, reason: $reason) { id } }`,
		map[string]any{"device": c.Device, "user": c.User, "reason": c.Reason}, &done)
	if err != nil {
		return err
	}
	var told erasuresTold
	if err := askServer(ctx, c.Data, askErasure, map[string]any{"device": done.EraseSubject.ID}, &told); err != nil {
		return err
	}
	c.tell(done.EraseSubject.ID, told.upTo(before.Log.Head))
	return nil
}

// How a server tells when a device was erased last.
const askErasure = `query($device: ID!) { device(id: $device) {
	timeline(last: 1, filter: {types: ["device.subject-erased"]}) { edges { node { position time actor { id name } } } } } }`

type erasuresTold struct {
	Device struct {
		Timeline struct {
			Edges []struct {
				Node struct {
					Position int64 `json:",string"`
					Time     time.Time
					Actor    eventstore.Actor
				}
			}
		}
	}
}

// upTo returns the last erasure if the log had it at a position already; nil if it came later.
func (t *erasuresTold) upTo(head int64) *erasure {
	for _, e := range t.Device.Timeline.Edges {
		if e.Node.Position <= head {
			return &erasure{e.Node.Time, e.Node.Actor}
		}
	}
	return nil
}

// An erasure is when a device was erased, and by whom.
type erasure struct {
	at time.Time
	by eventstore.Actor
}

// lastErasure finds the last erasure of a device.
func (h *house) lastErasure(ctx context.Context, id string) (*erasure, error) {
	for env, err := range h.log.ReadStream(ctx, eventstore.Stream{Kind: device.Kind, ID: id}, -1, eventstore.Backward) {
		if err != nil || env.Type == (device.SubjectErased{}).EventType() {
			return &erasure{env.Time, env.Actor}, err
		}
	}
	return nil, nil
}

func (c *keysEraseCmd) erase(ctx context.Context, h *house, views *projections.Views) error {
	id, err := h.whichDevice(ctx, views, c.Device)
	if err != nil {
		return err
	}
	channel, err := h.whichUser(ctx, views, id, c.Device, c.User)
	if err != nil {
		return err
	}
	whom := seal.Subject{Stream: eventstore.Stream{Kind: device.Kind, ID: id}, Within: string(channel)}
	done, err := h.erase(ctx, shell, whom, c.Reason)
	if err != nil {
		return err
	}
	if err := errors.Join(c.catchUp(ctx, h, views), views.Compact(ctx)); err != nil {
		return err
	}
	var before *erasure
	if !done {
		if before, err = h.lastErasure(ctx, id); err != nil {
			return err
		}
	}
	c.tell(id, before)
	return nil
}

// tell says what was done, or when it was, if the device was erased before and has not enrolled since.
func (c *keysEraseCmd) tell(id string, before *erasure) {
	switch {
	case before != nil:
		fmt.Fprintf(c.out(), "device %s was erased already, on %s, by %s\n", id, before.at.UTC().Format(time.RFC3339), cmp.Or(before.by.Name, before.by.ID))
		return
	case c.User != "":
		fmt.Fprintf(c.out(), "the personal data of a user of device %s is gone, in the log and the views\n", id)
	default:
		fmt.Fprintf(c.out(), "the personal data of device %s and its users is gone, in the log and the views\n", id)
	}
	if c.shared() {
		fmt.Fprintln(c.err(), "backups of PostgreSQL and its write-ahead archives still hold the keys, wrapped: destroy them, or change the master key (rollcall keys rotate) and destroy the old one")
		return
	}
	fmt.Fprintln(c.err(), "backups of keys.db still open what was sealed before: destroy them")
}

// whichUser finds a user of a device by whatever people call him, also one of an earlier enrolment; none if no name is
// given.
func (h *house) whichUser(ctx context.Context, views *projections.Views, id, deviceName, name string) (device.ChannelID, error) {
	if name == "" {
		return "", nil
	}
	users, err := views.Users(ctx, id, projections.Now)
	if err != nil {
		return "", err
	}
	for _, u := range users {
		if name == u.UserID || name == u.EnrollmentUserID || name == u.ShortName || name == string(u.ID) {
			return u.ID, nil
		}
	}
	d, _, err := views.Device(ctx, id, projections.Now)
	if err != nil {
		return "", err
	}
	for _, channel := range []string{name, h.pseudonyms.Channel(d.UDID, name), h.pseudonyms.Channel(d.EnrollmentID, name), h.pseudonyms.Channel(deviceName, name)} {
		if known, err := views.HasChannel(ctx, id, device.ChannelID(channel)); err != nil || known {
			return device.ChannelID(channel), err
		}
	}
	return "", fmt.Errorf("the device has no user %q: give the UserID, the short name or the pseudonym", name)
}

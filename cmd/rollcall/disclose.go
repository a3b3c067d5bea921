package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A disclosing says which sealed parts an auditor is to open.
type disclosing struct {
	Disclose  []string `enum:"personal,secret,evidence" placeholder:"PART" help:"Put in the keys that open these sealed parts of the bundle's events, and nothing else, and what they open: personal, secret, evidence. The log keeps to whom they were disclosed, and why."`
	Recipient string   `placeholder:"WHO" help:"To whom they are disclosed."`
	Reason    string   `help:"Why they are disclosed."`
}

// mayBegin finds what would keep the bundle from being made before the log says that something was disclosed in it.
func (c *auditExportCmd) mayBegin(ctx context.Context) error {
	if len(c.Disclose) == 0 {
		return nil
	}
	if there, err := os.ReadDir(c.Out); err == nil && len(there) > 0 {
		return fmt.Errorf("%s is not empty: name a directory that is empty or not there", c.Out)
	}
	return withEvidence(ctx, c.premises, func(e evidence) error {
		_, err := c.stream(ctx, e.log)
		return err
	})
}

// disclosed has the disclosure recorded, and returns the keys; and the position of the event that says so. The
// server does it if one runs. Nothing is done if nothing is to be disclosed.
func (c *auditExportCmd) disclosed(ctx context.Context) (keys []handlers.PartKey, at eventstore.Position, err error) {
	if len(c.Disclose) == 0 {
		return nil, 0, nil
	}
	here := stopped{storage: c.storage, Data: c.Data}
	if here.inUse() {
		keys, at, err = c.askDisclosure(ctx)
	} else {
		err = here.with(ctx, func(h *house) error {
			id, err := c.pseudonym(ctx, &here, h)
			if err == nil {
				keys, at, err = h.Disclose(ctx, shell, c.disclosure(id))
			}
			return err
		})
	}
	return keys, at, err
}

// pseudonym finds the device in question, none if none is.
func (c *auditExportCmd) pseudonym(ctx context.Context, here *stopped, h *house) (string, error) {
	if c.Device == "" {
		return "", nil
	}
	views, err := here.views(ctx, h)
	if err != nil {
		return "", err
	}
	id, err := h.whichDevice(ctx, views, c.Device)
	return id, errors.Join(err, views.Close())
}

func (c *auditExportCmd) disclosure(pseudonym string) handlers.Disclosure {
	return handlers.Disclosure{
		Device: pseudonym, From: c.From.UTC(), To: c.To.UTC(), Position: eventstore.Position(c.Position),
		Parts: c.Disclose, Recipient: c.Recipient, Reason: c.Reason,
	}
}

const discloseQuery = `mutation($device: ID, $from: Time, $to: Time, $position: ID, $parts: [SealedPart!]!, $recipient: String!, $reason: String!) {
	disclose(device: $device, from: $from, to: $to, position: $position, parts: $parts, recipient: $recipient, reason: $reason) { position keys }
}`

// askDisclosure has the running server record it.
func (c *auditExportCmd) askDisclosure(ctx context.Context) ([]handlers.PartKey, eventstore.Position, error) {
	parts := make([]string, len(c.Disclose))
	for i, part := range c.Disclose {
		parts[i] = string(bytes.ToUpper([]byte(part)))
	}
	variables := map[string]any{"parts": parts, "recipient": c.Recipient, "reason": c.Reason}
	if c.Device != "" {
		variables["device"] = c.Device
	}
	if c.Position > 0 {
		variables["position"] = strconv.FormatInt(c.Position, 10)
	}
	for name, m := range map[string]moment{"from": c.From, "to": c.To} {
		if !m.IsZero() {
			variables[name] = m.UTC().Format(time.RFC3339Nano)
		}
	}
	var done struct {
		Disclose struct {
			Position string
			Keys     []handlers.PartKey
		}
	}
	if err := askServer(ctx, c.Data, discloseQuery, variables, &done); err != nil {
		return nil, 0, err
	}
	at, err := strconv.ParseInt(done.Disclose.Position, 10, 64)
	return done.Disclose.Keys, eventstore.Position(at), err
}

// placed gives the keys the places that their events have in the bundle, and the bundle its end: the event that says what
// was disclosed, unless somebody wants another.
func (c *auditExportCmd) placed(ctx context.Context, e evidence, keys []handlers.PartKey, at eventstore.Position) error {
	if at == 0 {
		return nil
	}
	for i := range keys {
		place, err := e.place(ctx, keys[i].Position)
		if err != nil {
			return err
		}
		keys[i].Position, keys[i].Place = place, 0
	}
	place, err := e.place(ctx, at)
	if err == nil && c.Position == 0 {
		c.Position = int64(place)
	}
	return err
}

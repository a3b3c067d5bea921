package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// live lets the fleet go on: devices answer pushes, change, and are asked for their inventory.
func (d *demo) live(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(10)
	g.Go(func() error { return d.everyNow(ctx) })
	for {
		select {
		case <-ctx.Done():
			_ = g.Wait()
			return nil
		case token := <-d.wakes:
			if one, user, ok := mdmtest.Find(d.devices, token); ok {
				g.Go(func() error { d.answer(ctx, one, user); return nil })
			}
		}
	}
}

// answer is what a device does when Apple wakes it.
func (d *demo) answer(ctx context.Context, one *mdmtest.Device, user *mdmtest.User) {
	magic := one.Push.Magic
	if user != nil {
		magic = user.Push.Magic
	}
	_, err := one.Woken(ctx, user, magic)
	if err != nil && ctx.Err() == nil && !errors.Is(err, mdmtest.ErrAsleep) && !errors.Is(err, mdmtest.ErrNotEnrolled) {
		fmt.Fprintf(os.Stderr, "%s was woken: %v\n", one.Name, err)
	}
}

// everyNow has a device live an hour or a day, and asks it how it is.
func (d *demo) everyNow(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(d.Seed, 8))
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		one := d.devices[rng.IntN(len(d.devices))]
		if !one.Enrolled() {
			continue
		}
		one.Live(rng, 1)
		q := mdmtest.Inventory[rng.IntN(len(mdmtest.Inventory))]
		if _, err := d.people["inventory"].awake.Order(ctx, one.ChannelID(nil), q); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, err) // it may have left meanwhile
		}
	}
}

// tell prints how to look, once all that was played can be seen.
func (d *demo) tell(ctx context.Context, out io.Writer) error {
	head, err := d.server.house.log.Head(ctx)
	if err != nil {
		return err
	}
	if err := d.server.views.Wait(ctx, head); err != nil {
		return err
	}
	days := min(7, d.Days)
	one, then, ago := d.devices[0], time.Now().AddDate(0, 0, -days).UTC().Format(time.RFC3339), fmt.Sprintf("%d days ago", days)
	fmt.Fprintf(out, "\nRollcall is running at %s with %d devices and %d events of %d days.\n\n", d.server.URL, len(d.devices), head, d.Days)
	fmt.Fprintf(out, "TOKEN=%s\n\n", d.people["Ada"].token)
	for _, example := range []struct{ what, query string }{
		{"The fleet, now and " + ago, fmt.Sprintf(`{ now: fleet { devices byStatus { name devices } } then: fleet(asOf: "%s") { devices byStatus { name devices } } }`, then)},
		{"Ten devices as they were " + ago, fmt.Sprintf(`{ devices(first: 10, asOf: "%s") { edges { node { name productName osVersion status lastSeenAt } } } }`, then)},
		{"What changed on one device since then", fmt.Sprintf(`{ device(id: "%s") { name osVersion changes(from: "%s", to: "%s") { key before after at } } }`, one.UDID, then, time.Now().UTC().Format(time.RFC3339))},
		{"The end of its timeline", fmt.Sprintf(`{ device(id: "%s") { timeline(last: 20) { edges { node { time summary } } } } }`, one.UDID)},
		{"Who locked what", `{ commands(filter: {requestTypes: ["DeviceLock"]}) { edges { node { device { name } queuedBy { name } queuedAt state settledAt } } } }`},
		{"Ask it for its security state; it will be woken and answer", fmt.Sprintf(`mutation { sendCommand(input: {requestType: "SecurityInfo", devices: ["%s"], reason: "looking around"}) { commands { uuid state } } }`, one.UDID)},
	} {
		fmt.Fprintf(out, "# %s\ncurl -s %s/graphql -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' -d '{\"query\":\"%s\"}'\n\n",
			example.what, d.server.URL, strings.ReplaceAll(example.query, `"`, `\"`))
	}
	fmt.Fprintln(out, "Ctrl-C ends it.")
	return nil
}

package tests

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// kills is how often the server is killed, stops how often it is asked to end, and writers how many devices speak at the same
// time.
const (
	kills   = 20
	stops   = 3
	writers = 64
)

// TestSIGKILLUnderLoadLosesNothing kills the server again and again while devices enrol, are given commands and carry
// them out. Whatever was acknowledged is in the log once, the views are what the log says, and every checkpoint that a witness
// was sent still holds.
func TestSIGKILLUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	witness := h.witnessed()
	h.start()
	c := newCrowd(h)
	ctx, giveUp := context.WithCancel(bounded(t))
	defer giveUp()
	var all sync.WaitGroup
	for i, d := range h.fleet(mdmtest.Fleet{Size: writers, Seed: 11, Habits: mdmtest.Habits{NotNow: 0.05, Error: 0.02}}) {
		d.Prepare(mdmtest.Inventory...)
		all.Go(func() {
			w := writer{crowd: c, device: d, number: i}
			if err := w.run(ctx); err != nil {
				t.Errorf("writer %d: %v", i, err)
				giveUp()
			}
		})
	}
	for n := range kills + stops {
		c.ledger.await(ctx, 150+rand.IntN(600)) // in the end a device has some 200 events: there are snapshots too
		if n%8 == 5 {
			h.stop() // SIGTERM: it ends well, whatever is under way
		} else {
			h.kill()
		}
		h.start()
		c.risen()
	}
	c.ending.Store(true)
	all.Wait()
	if t.Failed() || ctx.Err() != nil {
		t.Fatalf("the load did not come to its end: %v", context.Cause(ctx))
	}
	h.stop()
	v := h.open()
	c.ledger.audit(v)
	v.wantProven(witness, kills)
	if c.broken.Load() < kills {
		t.Errorf("%d kills broke off only %d messages: there was no load", kills, c.broken.Load())
	}
	t.Logf("%d messages were acknowledged, %d were broken off and repeated", len(c.ledger.acknowledged), c.broken.Load())
}

// A crowd is what writers share: a server that goes down and comes up, and the account of what it acknowledged.
type crowd struct {
	host   *host
	token  string
	wire   mdmtest.Wire
	ledger *ledger
	broken atomic.Int64 // messages that got no answer
	ending atomic.Bool

	mu   sync.Mutex
	life int           // how often the server has risen
	up   chan struct{} // closed when it rises again
}

func newCrowd(h *host) *crowd {
	return &crowd{
		host: h, token: h.token(), wire: &mdmtest.Direct{}, ledger: &ledger{t: h.t, acknowledged: map[string]bool{}}, up: make(chan struct{}),
	}
}

// risen says that the server has come up again.
func (c *crowd) risen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.life++
	close(c.up)
	c.up = make(chan struct{})
}

func (c *crowd) now() (life int, up <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life, c.up
}

// insist does something until the server has answered it: whenever the server has died meanwhile, again after it has
// come up.
func (c *crowd) insist(ctx context.Context, do func() error) error {
	for {
		life, up := c.now()
		err := do()
		if err == nil || answered(err) {
			return err
		}
		c.broken.Add(1)
		if now, _ := c.now(); now != life {
			continue
		}
		select {
		case <-up:
		case <-ctx.Done():
			return fmt.Errorf("no server came up after %w", err)
		}
	}
}

// answered reports whether an error is what the server said, and not that it said nothing.
func answered(err error) bool {
	var violation *mdmtest.Violation
	var status *mdmtest.StatusError
	return errors.As(err, &violation) || errors.As(err, &status) || errors.Is(err, mdmtest.ErrNotEnrolled)
}

// A writer is one device, and whoever gives it commands.
type writer struct {
	*crowd
	device *mdmtest.Device
	number int

	queued    []string // of this life, in order
	delivered []mdmtest.Delivery
}

// run lives one enrolment after the other until the crowd's time is over.
func (w *writer) run(ctx context.Context) error {
	for life := 0; !w.ending.Load() || life == 0; life++ {
		if err := w.live(ctx, life); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
	}
	return nil
}

// live enrols the device, gives it commands in two portions, and lets it carry out all of them.
func (w *writer) live(ctx context.Context, life int) error {
	w.queued, w.delivered = nil, nil
	if err := w.enrol(ctx, life); err != nil {
		return err
	}
	for _, portion := range []int{3, 2} {
		for range portion {
			if err := w.order(ctx); err != nil {
				return err
			}
		}
		if err := w.session(ctx); err != nil {
			return err
		}
	}
	for range 100 {
		if len(mdmtest.Check(w.queued, w.delivered).Lost) == 0 {
			return mdmtest.Check(w.queued, w.delivered).Err()
		}
		if err := w.session(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("the device was never given %q", mdmtest.Check(w.queued, w.delivered).Lost)
}

func (w *writer) enrol(ctx context.Context, life int) error {
	d := w.device
	d.Change(func(d *mdmtest.Device) {
		d.Name = fmt.Sprintf("writer %d, life %d", w.number, life)
		d.Push.Token = []byte(d.Name)
	})
	if err := w.insist(ctx, func() error { return d.Authenticate(ctx) }); err != nil {
		return err
	}
	w.ledger.note("authenticated " + d.Name)
	if err := w.insist(ctx, func() error { return d.UpdateToken(ctx) }); err != nil {
		return err
	}
	w.ledger.note("token " + hex.EncodeToString(d.Push.Token))
	return nil
}

// order queues a command. If the server died before it answered, the same command is queued again: the server then
// takes it, or says that it has it.
func (w *writer) order(ctx context.Context) error {
	uuid, tries := mdmtest.NewUUID(), 0
	raw := mdmtest.RawCommand(mdmtest.Inventory[len(w.queued)%len(mdmtest.Inventory)], uuid)
	err := w.insist(ctx, func() error {
		tries++
		a, err := w.wire.Send(ctx, mdmtest.Request{
			URL: w.host.url() + "/v1/enqueue/" + w.device.ID() + "?nopush=1", Header: basic(w.token), Body: raw,
		})
		if err != nil || a.Status == http.StatusOK || tries > 1 && hasIt(a, w.device.ID()) {
			return err
		}
		return &mdmtest.StatusError{Message: "the enqueue", Status: a.Status, Body: string(a.Body)}
	})
	if err != nil {
		return err
	}
	w.queued = append(w.queued, uuid)
	w.ledger.note("queued " + uuid)
	return nil
}

// hasIt reports whether the server says that it has the command already.
func hasIt(a mdmtest.Answer, id string) bool {
	var said struct {
		Status map[string]struct{ Code string }
	}
	return json.Unmarshal(a.Body, &said) == nil && said.Status[id].Code == "conflict"
}

// session lets the device poll, and carry out what it is given.
func (w *writer) session(ctx context.Context) error {
	return w.insist(ctx, func() error {
		done, err := w.device.Session(ctx)
		for _, d := range done {
			w.delivered = append(w.delivered, d)
			if d.Final() {
				w.ledger.note("settled " + d.UUID + " " + d.Status)
			}
		}
		return err
	})
}

// A ledger remembers what was acknowledged.
type ledger struct {
	t *testing.T

	mu           sync.Mutex
	acknowledged map[string]bool
	target       int
	reached      chan struct{}
}

func (l *ledger) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[what] = true
	if len(l.acknowledged) == l.target {
		close(l.reached)
	}
}

// await returns when n more messages are acknowledged, or ctx ends.
func (l *ledger) await(ctx context.Context, n int) {
	l.mu.Lock()
	l.target, l.reached = len(l.acknowledged)+n, make(chan struct{})
	reached := l.reached
	l.mu.Unlock()
	select {
	case <-reached:
	case <-ctx.Done():
	}
}

// audit compares what was acknowledged with what the log has, and the views with the log.
func (l *ledger) audit(v *vault) {
	l.t.Helper()
	has := map[string]int{}
	for _, r := range v.history() {
		if what := remembered(r); what != "" {
			has[what]++
			if uuid, ends := strings.CutPrefix(what, "settled "); ends {
				has["end "+strings.Fields(uuid)[0]]++
			}
		}
	}
	for what := range l.acknowledged {
		if has[what] == 0 {
			l.t.Errorf("acknowledged, and not in the log: %s", what)
		}
	}
	for what, n := range has {
		if n > 1 {
			l.t.Errorf("%d times in the log: %s", n, what)
		}
		if !l.acknowledged[what] && !strings.HasPrefix(what, "end ") { // the writers repeat what was broken off
			l.t.Errorf("in the log, and never acknowledged: %s", what)
		}
	}
	v.wantViewsAsFromAFreshFold()
}

// remembered spells an event as the ledger does, if it is of those that it remembers.
func remembered(r recorded) string {
	switch e := r.event.(type) {
	case device.Authenticated:
		return "authenticated " + e.Identity.DeviceName
	case device.TokenUpdated:
		return "token " + hex.EncodeToString(e.Token)
	case device.CommandQueued:
		return "queued " + e.UUID
	case device.CommandAcknowledged:
		return "settled " + e.UUID + " " + device.Acknowledged
	case device.CommandFailed:
		return "settled " + e.UUID + " " + device.Error
	case device.CommandFormatRejected:
		return "settled " + e.UUID + " " + device.CommandFormatError
	case device.CommandCancelled:
		return "settled " + e.UUID + " cancelled"
	}
	return ""
}

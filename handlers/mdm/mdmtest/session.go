package mdmtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// What a device can say about a command.
const (
	idle         = "Idle"
	acknowledged = "Acknowledged"
	failed       = "Error"
	formatError  = "CommandFormatError"
	notNow       = "NotNow"
)

// A Delivery is a command that a server handed out, and what the device said about it.
type Delivery struct {
	UUID        string
	RequestType string
	Status      string
}

// Final reports whether the command is over.
func (d Delivery) Final() bool { return d.Status != notNow }

// ErrAsleep says that the device is off, or did not wake.
var ErrAsleep = errors.New("the device is asleep")

// A channel is one of the queues between a server and a device: the device's own, or that of a user.
type channel struct {
	session sync.Mutex // one session at a time

	managed bool
	ended   map[string]bool // by UUID: these must not come again
	pending []byte          // a report that the server has not accepted yet; it is repeated
	answer  Delivery        // what pending says
	ready   map[*known]form // answers to questions that were asked before, while the device did not change
	header  [2]string       // that proves the identity, if it is always the same
	idle    []byte          // the Idle report
	out     []byte          // for bodies
}

func (c *channel) reset() {
	c.managed, c.ended, c.pending, c.idle, c.header = false, nil, nil, nil, [2]string{}
}

func (c *channel) proof(d *Device) [2]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.header[0] == "" {
		c.header[0], c.header[1] = d.Proof.Fixed(d.Identity)
	}
	return c.header
}

// Session polls the server on the device's own channel and carries out commands until the server has no more. It
// returns what was delivered and accepted, also beside an error.
func (d *Device) Session(ctx context.Context) ([]Delivery, error) { return d.SessionOf(ctx, nil) }

// Woken is what a push with that magic does: a Session, unless the device does not wake. The user is nil for the
// device's own channel.
func (d *Device) Woken(ctx context.Context, u *User, magic string) ([]Delivery, error) {
	want := d.Push.Magic
	if u != nil {
		want = u.Push.Magic
	}
	if magic != want {
		return nil, &Violation{d.ID(), "a push came with the wrong PushMagic"}
	}
	d.mu.Lock()
	asleep := d.rng.Float64() < d.Habits.Asleep
	d.mu.Unlock()
	if asleep {
		return nil, ErrAsleep
	}
	return d.SessionOf(ctx, u)
}

// SessionOf is a Session on the channel of a user, or on the device's own if u is nil.
func (d *Device) SessionOf(ctx context.Context, u *User) ([]Delivery, error) {
	c := &d.own
	if u != nil {
		c = &u.channel
	}
	c.session.Lock()
	defer c.session.Unlock()
	body, err := d.opening(c, u)
	if err != nil {
		return nil, err
	}
	var done []Delivery
	met := map[string]bool{} // deferred in this session
	for {
		a, err := d.send(ctx, d.Server.Connect, connectType, body)
		if err == nil {
			err = d.judge(cmp.Or(c.answer.Status, idle), a)
		}
		if err != nil {
			return done, err
		}
		if c.pending != nil {
			done = append(done, c.settle(met))
			if err := d.aftermath(ctx, done[len(done)-1]); err != nil {
				return done, err
			}
		}
		if len(a.Body) == 0 || !d.Enrolled() {
			return done, nil
		}
		if body, err = d.obey(c, u, a, met); err != nil {
			return done, err
		}
	}
}

// opening returns how a session begins: with what the server has not accepted yet, or with Idle.
func (d *Device) opening(c *channel, u *User) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.enrolled || !c.managed:
		return nil, ErrNotEnrolled
	case d.Off:
		return nil, ErrAsleep
	case c.pending != nil:
		return c.pending, nil
	}
	if c.idle == nil {
		c.idle = text(d.report(u, idle, nil))
	}
	return c.idle, nil
}

// settle notes that the server has accepted the pending report.
func (c *channel) settle(met map[string]bool) Delivery {
	a := c.answer
	c.pending, c.answer = nil, Delivery{}
	if !a.Final() {
		met[a.UUID] = true
		return a
	}
	if c.ended == nil {
		c.ended = map[string]bool{}
	}
	c.ended[a.UUID] = true
	return a
}

// obey carries out the command in the answer and returns the report about it.
func (d *Device) obey(c *channel, u *User, a Answer, met map[string]bool) ([]byte, error) {
	if !strings.HasPrefix(a.ContentType, "application/xml") && !strings.HasPrefix(a.ContentType, "text/xml") {
		return nil, &Violation{d.ID(), fmt.Sprintf("a command came as %q, not as application/xml", a.ContentType)}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	uuid, k, err := d.shelf.understand(a.Body)
	if err != nil {
		return nil, &Violation{d.ID(), err.Error()}
	}
	if err := d.admit(c, uuid, met); err != nil {
		return nil, err
	}
	status, keys := d.mood(k.requestType)
	about := Delivery{uuid, k.requestType, status}
	if status != acknowledged {
		return c.report(about, render(d.report(u, status, keys))), nil
	}
	if body, ok := c.ready[k]; ok {
		return c.report(about, body), nil
	}
	about.Status, keys = d.carryOut(u, k)
	body := render(d.report(u, about.Status, keys))
	c.keep(k, about.Status, body)
	return c.report(about, body), nil
}

// keep remembers the answer to a question.
func (c *channel) keep(k *known, status string, body form) {
	if status != acknowledged || !questions[k.requestType] {
		return
	}
	if c.ready == nil {
		c.ready = map[*known]form{}
	}
	c.ready[k] = body
}

// Prepare works out the device's answers to these questions, so that it costs no time later. What changes the device
// makes it forget them.
func (d *Device) Prepare(list ...Question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range list {
		k := d.shelf.know(q.RequestType, merge(dict{"RequestType": q.RequestType}, q.Keys))
		if questions[q.RequestType] {
			status, keys := d.carryOut(nil, k)
			d.own.keep(k, status, render(d.report(nil, status, keys)))
		}
	}
}

// report keeps the report until the server has accepted it.
func (c *channel) report(about Delivery, body form) []byte {
	c.out = body.fill(c.out[:0], about.UUID)
	c.pending, c.answer = c.out, about
	return c.pending
}

// admit refuses a command that a server must not hand out now.
func (d *Device) admit(c *channel, uuid string, met map[string]bool) error {
	if c.ended[uuid] {
		return &Violation{d.ID(), "command " + uuid + " came again after it had ended"}
	}
	if met[uuid] {
		return &Violation{d.ID(), "command " + uuid + " came again in the session in which it was answered NotNow"}
	}
	if c != &d.own && d.own.ended[uuid] {
		return &Violation{d.ID(), "command " + uuid + " of the device came on a user's channel"}
	}
	for _, u := range d.Users {
		if c != &u.channel && u.channel.ended[uuid] {
			return &Violation{d.ID(), "command " + uuid + " of " + u.ShortName + " came on another channel"}
		}
	}
	return nil
}

// report returns a report on the command channel. The CommandUUID is left blank.
func (d *Device) report(u *User, status string, keys dict) dict {
	all := d.nameKeys()
	if u != nil {
		all = d.userKeys(u)
		if d.Platform == MacOS {
			all["NotOnConsole"] = u.NotOnConsole
		}
	}
	all["Status"] = status
	if status != idle {
		all["CommandUUID"] = blank{}
	}
	for k, v := range keys {
		all[k] = v
	}
	return all
}

// Report sends any report on the command channel, outside of a session, and returns the bare answer. An empty UUID
// is left out.
func (d *Device) Report(ctx context.Context, u *User, status, uuid string, keys map[string]any) (Answer, error) {
	all := d.report(u, status, keys)
	delete(all, "CommandUUID")
	if uuid != "" {
		all["CommandUUID"] = uuid
	}
	return d.send(ctx, d.Server.Connect, connectType, text(all))
}

// Command decodes the command that an answer of the command channel brings. It is not ok if there is none.
func (a Answer) Command() (c Command, ok bool, err error) {
	if len(bytes.TrimSpace(a.Body)) == 0 {
		return Command{}, false, nil
	}
	c, err = decodeCommand(a.Body)
	return c, err == nil, err
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/graphql"
	"github.com/rollcall-mdm/rollcall/projections"
)

// replayCmd prints what happened, or what was so at a moment. It only reads, beside a server that runs or without one.
type replayCmd struct {
	stopped
	Device string   `placeholder:"ID" help:"Only this device: its UDID, EnrollmentID, serial number or pseudonym."`
	From   moment   `placeholder:"TIME" help:"Only what happened at this time or later, e.g. 2026-01-31 or 2026-01-31T12:00:00Z."`
	To     moment   `placeholder:"TIME" help:"Only what happened at this time or earlier."`
	Type   []string `placeholder:"NAME" help:"Only events of this stored name; * stands for any part, as in device.command-*."`
	Kind   []string `placeholder:"KIND" help:"Only events of streams of this kind: device, operator, pushcert, certificate, group, …"`
	Actor  string   `placeholder:"WHO" help:"Only what this person, program, device or kind of actor caused: an id, a name, or one of device, operator, token, worker, apple."`
	Limit  int      `placeholder:"N" help:"At most so many events."`
	Last   int      `placeholder:"N" help:"Only the last so many events."`
	Follow bool     `short:"f" help:"Then go on with what happens from now on, until Ctrl-C."`
	JSON   bool     `name:"json" help:"One JSON object a line, for programs. Secrets are masked."`
	AsOf   moment   `name:"as-of" placeholder:"TIME" help:"Print no events, but how the device or the fleet was at this time."`
}

// Run fulfils kong's command.
func (c *replayCmd) Run(ctx context.Context) error {
	if err := c.sensible(); err != nil {
		return err
	}
	return c.reads(ctx, func(h *house) error {
		head, err := h.log.Head(ctx)
		if err != nil {
			return err
		}
		views, err := c.viewsAt(ctx, h, head)
		if err != nil {
			return err
		}
		r := &replay{replayCmd: c, house: h, read: views, head: head, out: bufio.NewWriter(c.out()), labels: map[eventstore.Stream]string{}}
		err = r.run(ctx)
		return errors.Join(err, r.out.Flush(), r.read.Close())
	})
}

// sensible refuses what makes no sense.
func (c *replayCmd) sensible() error {
	for _, pattern := range append(slices.Clone(c.Type), c.Kind...) {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("%q is no pattern: %w", pattern, err)
		}
	}
	switch {
	case c.Limit < 0 || c.Last < 0:
		return errors.New("--limit and --last are numbers of events")
	case c.Limit > 0 && c.Last > 0:
		return errors.New("--limit is how many of the first, --last how many of the last: take one of them")
	case c.Follow && (!c.To.IsZero() || !c.AsOf.IsZero()):
		return errors.New("--follow goes on from now: leave --to and --as-of out")
	}
	return nil
}

// A replay is one under way.
type replay struct {
	*replayCmd
	*house
	read   *projections.Views
	head   eventstore.Position // of the log when it began
	out    *bufio.Writer
	labels map[eventstore.Stream]string
	told   int // events
}

// errEnough says that all was told that was asked for.
var errEnough = errors.New("that is enough")

func (r *replay) run(ctx context.Context) error {
	id, err := r.pseudonym(ctx)
	if err != nil {
		return err
	}
	if !r.AsOf.IsZero() {
		return r.asOf(ctx, id)
	}
	err = r.past(ctx, id)
	if err == nil && r.Follow {
		err = r.future(ctx, id)
	}
	if errors.Is(err, errEnough) || r.Follow && ctx.Err() != nil { // Ctrl-C is how following ends
		return nil
	}
	return err
}

// past tells what has happened.
func (r *replay) past(ctx context.Context, id string) error {
	after, to, err := r.stretch(ctx)
	if err != nil {
		return err
	}
	p := newProgress(r.replayCmd.err(), "reading the log", int64(to)).through(r.log)
	defer p.end()
	var last []eventstore.Envelope // the newest, if only those are wanted
	for env, err := range r.events(ctx, id, after) {
		if err != nil {
			return err
		}
		p.at(int64(env.Position))
		if env.Position > to {
			break
		}
		if env.Position <= after || !r.wants(&env) {
			continue
		}
		if r.Last == 0 {
			err = r.print(ctx, env)
		} else if last = append(last, env); len(last) >= 2*r.Last {
			last = append(last[:0], last[len(last)-r.Last:]...)
		}
		if err != nil {
			return err
		}
	}
	for _, env := range last[max(0, len(last)-r.Last):] {
		if err := r.print(ctx, env); err != nil {
			return err
		}
	}
	return nil
}

// pseudonym returns the id of the device's stream; empty if all are wanted.
func (r *replay) pseudonym(ctx context.Context) (string, error) {
	if r.Device == "" {
		return "", nil
	}
	return r.whichDevice(ctx, r.read, r.Device)
}

// whichDevice finds a device by whatever people call it. One whose personal data was erased is still found by its
// UDID or EnrollmentID, which the pseudonym is made of.
func (h *house) whichDevice(ctx context.Context, views *projections.Views, name string) (string, error) {
	for _, id := range []string{name, h.pseudonyms.Device(name)} {
		_, version, err := h.devices.Load(ctx, id)
		if err != nil {
			return "", err
		}
		if version != eventstore.NoStream {
			return id, nil
		}
	}
	d, found, err := views.Device(ctx, name, projections.Now)
	if err == nil && !found {
		err = fmt.Errorf("no device is known as %q: give its UDID, EnrollmentID, serial number or pseudonym", name)
	}
	return d.ID, err
}

// stretch returns the position before the first event that is wanted, and that of the last.
func (r *replay) stretch(ctx context.Context) (after, to eventstore.Position, err error) {
	if !r.From.IsZero() {
		if after, err = r.read.PositionAt(ctx, r.From.Add(-time.Microsecond)); err != nil {
			return 0, 0, err
		}
	}
	if !r.To.IsZero() {
		to, err = r.read.PositionAt(ctx, r.To.Time)
		return after, to, err
	}
	return after, r.head, nil
}

// events returns those of the device, or those after the position.
func (r *replay) events(ctx context.Context, id string, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	if id == "" {
		return r.log.ReadAll(ctx, after)
	}
	return r.log.ReadStream(ctx, eventstore.Stream{Kind: device.Kind, ID: id}, 0, eventstore.Forward)
}

// wants reports whether the filters let an event through.
func (r *replay) wants(env *eventstore.Envelope) bool {
	return anyOf(r.Type, env.Type) && anyOf(r.Kind, env.Stream.Kind) && r.by(env.Actor)
}

// anyOf reports whether a name fits one of the patterns, which were checked before; it does if there are none.
func anyOf(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

func (r *replay) by(a eventstore.Actor) bool {
	return r.Actor == "" || strings.EqualFold(a.ID, r.Actor) || strings.EqualFold(a.Name, r.Actor) || strings.EqualFold(string(a.Kind), r.Actor)
}

// A replayLine is an event as it is printed for programs.
type replayLine struct {
	Position    eventstore.Position `json:"position"`
	Time        time.Time           `json:"time"`
	ID          eventstore.UUID     `json:"id"`
	Stream      string              `json:"stream"`
	Version     int64               `json:"version"`
	Type        string              `json:"type"`
	Actor       eventstore.Actor    `json:"actor"`
	Correlation eventstore.UUID     `json:"correlation,omitzero"`
	Causation   eventstore.UUID     `json:"causation,omitzero"`
	Summary     string              `json:"summary"`
	Data        json.RawMessage     `json:"data"`
	Evidence    bool                `json:"evidence,omitempty"` // the exact bytes that were received are kept
}

// print tells an event, if not enough of them are told already.
func (r *replay) print(ctx context.Context, env eventstore.Envelope) error {
	if r.told++; r.Limit > 0 && r.told > r.Limit {
		return errEnough
	}
	event, err := r.codec.Views().Decode(env)
	if err != nil && !errors.Is(err, eventstore.ErrUnknownType) {
		return fmt.Errorf("read the event at position %d: %w", env.Position, err)
	}
	if event, err = graphql.Whole(ctx, r.log, r.codec.Views(), env, event); err != nil {
		return err
	}
	summary, err := r.read.Summarise(ctx, env, event)
	if err != nil {
		return err
	}
	if r.JSON {
		return r.printJSON(env, event, summary)
	}
	label, err := r.label(ctx, env.Stream)
	if err == nil {
		_, err = fmt.Fprintf(r.out, "%s  #%d  %s  %s\n", env.Time.Format(time.RFC3339), env.Position, printable(label), printable(summary))
	}
	return err
}

func (r *replay) printJSON(env eventstore.Envelope, event domain.Event, summary string) error {
	data, err := graphql.ShownIn(env, event)
	if err != nil {
		return err
	}
	return json.NewEncoder(r.out).Encode(replayLine{
		Position: env.Position, Time: env.Time, ID: env.ID, Stream: env.Stream.String(), Version: env.Version, Type: env.Type,
		Actor: env.Actor, Correlation: env.Correlation, Causation: env.Causation, Summary: summary, Data: data,
		Evidence: len(env.Evidence) > 0,
	})
}

// label returns what people call the stream: a device by its name, any other by its own.
func (r *replay) label(ctx context.Context, s eventstore.Stream) (string, error) {
	if label, known := r.labels[s]; known {
		return label, nil
	}
	label := s.String()
	if s.Kind == device.Kind {
		d, found, err := r.read.Device(ctx, s.ID, projections.Now)
		if err != nil {
			return "", err
		}
		if !found {
			d.ID = s.ID
		}
		label = d.Label()
	}
	if len(r.labels) >= 10_000 {
		clear(r.labels)
	}
	r.labels[s] = label
	return label, nil
}

package mdmtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// A Load plays a day of a fleet in phases: the devices enrol, poll, are given commands, and carry them out. It keeps
// account of every command.
type Load struct {
	Devices     []*Device
	Concurrency int // devices that speak at once; 1 if zero
	Watch       *Stopwatch
	Orderer     *Orderer
	Questions   []Question                          // ordered in turn; Inventory if nil
	Asleep      float64                             // share of the devices that miss a phase of commands
	Seed        uint64                              // of that chance
	Progress    func(phase string, done, total int) // told after every device; may be nil

	queued    [][]string // CommandUUIDs by device, in order
	delivered [][]Delivery
}

// A Phase is what came of one.
type Phase struct {
	Name     string `json:"phase"`
	Commands int    `json:"commands,omitempty"` // brought to an end
	Failed   int    `json:"failed"`             // devices that could not do their part
	First    string `json:"firstFailure,omitempty"`
	Figures
}

// Plus returns both phases, which have the same name, as one.
func (p Phase) Plus(q Phase) Phase {
	p.Figures = p.Figures.Plus(q.Figures)
	p.Commands, p.Failed, p.First = p.Commands+q.Commands, p.Failed+q.Failed, cmp.Or(p.First, q.First)
	return p
}

// maxRounds is how many sessions a device has at most to work off its queue: each ends with what it deferred.
const maxRounds = 100

// Enrol lets all devices enrol.
func (l *Load) Enrol(ctx context.Context) Phase {
	return l.each(ctx, "enrol", func(ctx context.Context, i int) error { return l.Devices[i].Enrol(ctx) })
}

// Idle lets all devices poll, each user's channel too.
func (l *Load) Idle(ctx context.Context) Phase {
	return l.each(ctx, "idle", func(ctx context.Context, i int) error {
		d := l.Devices[i]
		done, err := d.Session(ctx)
		l.note(i, done)
		for _, u := range d.Users {
			if _, e := d.SessionOf(ctx, u); !errors.Is(e, ErrNotEnrolled) {
				err = errors.Join(err, e)
			}
		}
		return err
	})
}

// Order queues n commands for each device.
func (l *Load) Order(ctx context.Context, n int) Phase {
	questions := l.questions()
	return l.each(ctx, "enqueue", func(ctx context.Context, i int) error {
		for k := range n {
			uuid, err := l.Orderer.Order(ctx, l.Devices[i].ID(), questions[k%len(questions)])
			if err != nil {
				return err
			}
			l.queued[i] = append(l.queued[i], uuid)
		}
		return nil
	})
}

// Prepare lets all devices work out their answers, so that the load costs less while it is measured.
func (l *Load) Prepare() {
	for _, d := range l.Devices {
		d.Prepare(l.questions()...)
	}
}

func (l *Load) questions() []Question {
	if len(l.Questions) == 0 {
		return Inventory
	}
	return l.Questions
}

// Answer lets all devices carry out what waits for them, in as many sessions as it takes.
func (l *Load) Answer(ctx context.Context) Phase {
	l.grow()
	before, asleep := l.ended(), l.sleepers()
	p := l.each(ctx, "command", func(ctx context.Context, i int) error {
		if asleep[i] {
			return nil
		}
		for range maxRounds {
			done, err := l.Devices[i].Session(ctx)
			l.note(i, done)
			if err != nil || len(Check(l.queued[i], l.delivered[i]).Lost) == 0 {
				return err
			}
			if len(done) == 0 {
				return fmt.Errorf("device %s: the server has no more commands, but some were queued", l.Devices[i].ID())
			}
		}
		return fmt.Errorf("device %s: commands still wait after %d sessions", l.Devices[i].ID(), maxRounds)
	})
	p.Commands = l.ended() - before
	return p
}

// sleepers draws who misses the next phase.
func (l *Load) sleepers() map[int]bool {
	l.Seed++
	rng := mathrand.New(mathrand.NewPCG(l.Seed, uint64(len(l.Devices))))
	asleep := map[int]bool{}
	for i := range l.Devices {
		if rng.Float64() < l.Asleep {
			asleep[i] = true
		}
	}
	return asleep
}

// Audit compares what was queued with what was delivered, for all devices.
func (l *Load) Audit() Audit {
	var all Audit
	for i := range l.queued {
		a := Check(l.queued[i], l.delivered[i])
		all.Lost = append(all.Lost, a.Lost...)
		all.Doubled = append(all.Doubled, a.Doubled...)
		all.Disordered = append(all.Disordered, a.Disordered...)
		all.Unasked = append(all.Unasked, a.Unasked...)
	}
	return all
}

// Outcomes counts the deliveries by what the devices said about them.
func (l *Load) Outcomes() map[string]int {
	n := map[string]int{}
	for _, list := range l.delivered {
		for _, d := range list {
			n[d.Status]++
		}
	}
	return n
}

func (l *Load) ended() int {
	n := l.Outcomes()
	return n[acknowledged] + n[failed] + n[formatError]
}

func (l *Load) grow() {
	for len(l.queued) < len(l.Devices) {
		l.queued, l.delivered = append(l.queued, nil), append(l.delivered, nil)
	}
}

func (l *Load) note(i int, done []Delivery) {
	if len(done) > 0 {
		l.delivered[i] = append(l.delivered[i], done...)
	}
}

// each lets the devices do their part, so many at once.
func (l *Load) each(ctx context.Context, name string, do func(context.Context, int) error) Phase {
	l.grow()
	var next, done atomic.Int64
	var failures failures
	l.Watch.Start()
	var group errgroup.Group
	for range max(l.Concurrency, 1) {
		group.Go(func() error {
			for i := int(next.Add(1)) - 1; i < len(l.Devices) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				failures.note(do(ctx, i))
				if n := int(done.Add(1)); l.Progress != nil {
					l.Progress(name, n, len(l.Devices))
				}
			}
			return nil
		})
	}
	_ = group.Wait() // no part returns an error
	p := Phase{Name: name, Figures: l.Watch.Read(), Failed: failures.n}
	if failures.first != nil {
		p.First = failures.first.Error()
	}
	return p
}

// failures keeps count of errors, and the first of them.
type failures struct {
	mu    sync.Mutex
	n     int
	first error
}

func (f *failures) note(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.first == nil {
		f.first = err
	}
}

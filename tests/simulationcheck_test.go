package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	proof "github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
	"github.com/rollcall-mdm/rollcall/projections"
)

// polls is within how many sessions a device has come to rest when the faults have stopped.
const polls = 60

func (s *simulation) streamOf(d *simulated) eventstore.Stream {
	return eventstore.Stream{Kind: device.Kind, ID: s.door.Pseudonyms.Device(d.ID())}
}

// order gives a device a command.
func (s *simulation) order(d *simulated) {
	q := mdmtest.Inventory[s.rng.IntN(len(mdmtest.Inventory))]
	uuid := mdmtest.NewUUID()
	o := device.Order{UUID: uuid, RequestType: q.RequestType, Body: mdmtest.RawCommand(q, uuid)}
	_, err := s.door.Devices.Update(s.t.Context(), s.streamOf(d).ID, eventstore.Meta{}, func(dev device.Device, at time.Time) ([]domain.Event, error) {
		return dev.Order("", o, false, at)
	})
	if s.try(err); err == nil {
		s.taken[uuid] = d.ID()
	}
}

// session lets a device poll, and carry out what it is given. It returns how much that was.
func (s *simulation) session(d *simulated) int {
	done, err := d.Session(s.t.Context())
	s.try(err)
	for i, one := range done {
		if one.Final() && (err == nil || i < len(done)-1) { // the answer to the last may have been lost
			s.settled[one.UUID] = one.Status
			s.wantKept(d, func(e domain.Event) bool { uuid, _ := ending(e); return uuid == one.UUID })
		}
	}
	return len(done)
}

// gives has the device say something, with its newest push token, and wants it to be in the log if the server took it.
func (s *simulation) gives(d *simulated, say func(context.Context) error) {
	err := say(s.t.Context())
	if s.try(err); err == nil {
		s.wantKept(d, func(e domain.Event) bool {
			update, is := e.(device.TokenUpdated)
			return is && bytes.Equal(update.Token, d.Push.Token)
		})
	}
}

// wantKept wants something in the log of a device that has just been told that it is kept.
func (s *simulation) wantKept(d *simulated, is func(domain.Event) bool) {
	s.t.Helper()
	for env, err := range s.file.ReadStream(s.t.Context(), s.streamOf(d), -1, eventstore.Backward) {
		if err != nil {
			s.t.Fatal(err)
		}
		event, err := s.codec.Decode(env)
		if err != nil {
			s.t.Fatal(err)
		}
		if is(event) {
			return
		}
	}
	s.t.Errorf("%s was told that something is kept, and the log does not have it", d.ID())
}

// calm ends all faults and all moods.
func (s *simulation) calm() {
	s.faulty.Arm(0, 0)
	s.restart()
	for _, d := range s.fleet {
		d.Change(func(d *mdmtest.Device) { d.Habits = mdmtest.Habits{} })
	}
}

// wantIdle wants every device to come to rest within some polls.
func (s *simulation) wantIdle() {
	s.t.Helper()
	before := s.broken
	for _, d := range s.fleet {
		if !d.Enrolled() {
			s.try(d.Enrol(s.t.Context()))
		}
		s.gives(d, d.UpdateToken) // the last one may have been lost: what the device has, counts
		left := polls
		for s.session(d) > 0 && left > 0 {
			left--
		}
		state, _, err := s.door.Devices.Load(s.t.Context(), s.streamOf(d).ID)
		if err != nil || left == 0 || !waitsForNothing(state) {
			s.t.Errorf("%s has not come to rest after %d polls (%v)", d.ID(), polls-left, err)
		}
	}
	if s.broken != before {
		s.t.Errorf("%d messages failed though the faults had stopped", s.broken-before)
	}
}

// waitsForNothing reports whether no command is under way.
func waitsForNothing(d device.Device) bool {
	c, _ := d.Channel("")
	return len(c.Queue) == 0
}

// wantLog wants positions and versions without gaps, and every command that was taken in the log, queued once and ended once.
func (s *simulation) wantLog() {
	s.t.Helper()
	next, queued, ended := map[eventstore.Stream]int64{}, map[string]int{}, map[string]string{}
	for env, err := range s.file.ReadAll(s.t.Context(), 0) {
		if err != nil {
			s.t.Fatal(err)
		}
		if s.events++; int(env.Position) != s.events || env.Version != next[env.Stream] {
			s.t.Fatalf("event %d stands at position %d, version %d of its stream", s.events, env.Position, env.Version)
		}
		next[env.Stream]++
		event, err := s.codec.Decode(env)
		if err != nil {
			s.t.Fatal(err)
		}
		if e, is := event.(device.CommandQueued); is {
			queued[e.UUID]++
		}
		if uuid, how := ending(event); uuid != "" {
			if ended[uuid] != "" {
				s.t.Errorf("%s ended twice: %s and %s", uuid, ended[uuid], how)
			}
			ended[uuid] = how
		}
	}
	for uuid, id := range s.taken {
		if queued[uuid] != 1 || ended[uuid] == "" {
			s.t.Errorf("%s, for %s, was acknowledged, is queued %d times in the log, and ended as %q", uuid, id, queued[uuid], ended[uuid])
		}
	}
	for uuid, status := range s.settled {
		if ended[uuid] != status && ended[uuid] != "cancelled" {
			s.t.Errorf("the device was told that its %s of %s is kept; the log says %q", status, uuid, ended[uuid])
		}
	}
}

// ending returns the command that an event ends, and how.
func ending(e domain.Event) (uuid, how string) {
	switch e := e.(type) {
	case device.CommandAcknowledged:
		return e.UUID, device.Acknowledged
	case device.CommandFailed:
		return e.UUID, device.Error
	case device.CommandFormatRejected:
		return e.UUID, device.CommandFormatError
	case device.CommandCancelled:
		return e.UUID, "cancelled"
	case device.CommandSuperseded:
		return e.UUID, "superseded"
	case device.CommandExpired:
		return e.UUID, "expired"
	}
	return "", ""
}

// wantSameStates wants what the server remembers of each device, the snapshot that it goes on with, and snapshots of a
// hundred random moments, to lead to what a fresh fold is.
func (s *simulation) wantSameStates() {
	s.t.Helper()
	plain := func(_ eventstore.Stream, state []byte) ([]byte, error) { return state, nil }
	keeper, err := embedded.OpenSnapshots[device.Device](filepath.Join(s.dir, "some.db"), embedded.SnapshotOptions{Fold: strconv.Itoa(device.Fold), Seal: plain, Open: plain})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = keeper.Close() }()
	for _, d := range s.fleet {
		l := s.lifeOf(d)
		fresh := l.states[len(l.states)-1]
		remembered, _, err := s.door.Devices.Load(s.t.Context(), s.streamOf(d).ID)
		if err != nil || !reflect.DeepEqual(remembered, fresh) {
			s.t.Errorf("%s is remembered as (%v)\n%+v\nand freshly folded\n%+v", d.ID(), err, remembered, fresh)
		}
		if kept, at, found := s.memory.Load(s.streamOf(d)); found && !reflect.DeepEqual(l.from(kept, at), fresh) {
			s.t.Errorf("%s is not the same from its snapshot at version %d", d.ID(), at)
		}
		versions := make([]int64, 1+100/simulatedFleet)
		for i := range versions {
			versions[i] = s.rng.Int64N(int64(len(l.states)))
		}
		slices.Sort(versions) // a snapshot takes the place of older ones alone
		for _, version := range versions {
			err := keeper.Save(s.streamOf(d), version, l.states[version])
			kept, at, found := keeper.Load(s.streamOf(d))
			if err != nil || !found || at != version || !same(s.t, l.from(kept, at), fresh) {
				s.t.Errorf("%s is not the same from a snapshot at version %d, of which came back %d (%v, %v)", d.ID(), version, at, found, err)
			}
		}
	}
}

// same compares states as snapshots hold them: what is empty and what is nothing are the same there.
func same(t *testing.T, a, b device.Device) bool {
	t.Helper()
	one, err := json.Marshal(a)
	other, otherErr := json.Marshal(b)
	if err = errors.Join(err, otherErr); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(one, other)
}

// A life is all that has happened to a device, and what it was after each event.
type life struct {
	events []domain.Event
	times  []time.Time
	states []device.Device
}

func (s *simulation) lifeOf(d *simulated) (l life) {
	s.t.Helper()
	var state device.Device
	for env, err := range s.file.ReadStream(s.t.Context(), s.streamOf(d), 0, eventstore.Forward) {
		if err != nil {
			s.t.Fatal(err)
		}
		event, err := s.codec.Decode(env)
		if err != nil {
			s.t.Fatal(err)
		}
		state = state.Evolve(event, env.Time)
		l.events, l.times, l.states = append(l.events, event), append(l.times, env.Time), append(l.states, state)
	}
	return l
}

// from goes on from what the device was at a version.
func (l *life) from(state device.Device, version int64) device.Device {
	for i := version + 1; i < int64(len(l.events)); i++ {
		state = state.Evolve(l.events[i], l.times[i])
	}
	return state
}

// wantSameViews wants the views, which were folded now and then, to be a fresh fold.
func (s *simulation) wantSameViews() {
	s.t.Helper()
	s.fold()
	fresh, err := projections.Open(s.t.Context(), filepath.Join(s.dir, "fresh.db"), projections.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = fresh.Close() }()
	if err := fresh.CatchUp(s.t.Context(), s.file, s.codec.Views(), nil); err != nil {
		s.t.Fatal(err)
	}
	differ, err := projections.Differences(s.t.Context(), s.views, fresh, 5)
	if err != nil || len(differ) > 0 {
		s.t.Errorf("the views differ from a fresh fold: %q (%v)", differ, err)
	}
}

// wantSameRoots wants every root of the tree that was signed to hold.
func (s *simulation) wantSameRoots() {
	s.t.Helper()
	for size, root := range s.signed {
		if now, err := (&proof.Ledger{Tree: s.file}).Root(s.t.Context(), size); err != nil || now != root {
			s.t.Errorf("the root over %d events became %s, was %s (%v)", size, now, root, err)
		}
	}
}

package projections

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A happening is an event and when it happened, in seconds after noon.
type happening struct {
	at float64
	e  domain.Event
}

func secs(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func TestWhenAChannelIsWoken(t *testing.T) {
	lock := func(uuid string) device.CommandQueued { return queued(uuid, "DeviceLock") }
	quiet := device.CommandQueued{UUID: "q", RequestType: "DeviceLock", NoPush: true}
	later := device.CommandQueued{UUID: "l", RequestType: "DeviceLock", NotBefore: noon.Add(time.Hour)}
	hand := func(uuid string, session bool) domain.Event { return delivered(uuid, "DeviceLock", 1, session) }
	done := func(uuid string) domain.Event { return answered(uuid, "DeviceLock", "") }
	notNow := func(uuid string) domain.Event { return device.CommandDeferred{UUID: uuid} }
	accepted, refused := device.PushAccepted{}, device.PushRefused{Reason: "InternalServerError", Status: 500}
	final := device.PushRefused{Reason: "Unregistered", Status: 410, Final: true, Unregistered: true}
	const day = 24 * 3600.0
	const never = -1.0
	for _, c := range []struct {
		name   string
		given  []happening
		due    float64 // seconds after noon
		reason string
	}{
		{"an order wakes at once", []happening{{0, lock("1")}}, 0, "ordered"},
		{"an order with nopush does not", []happening{{0, quiet}}, never, ""},
		{"a later order waits for its time", []happening{{0, later}}, 3600, "scheduled"},
		{"an order before a later one wakes at once", []happening{{0, later}, {5, lock("1")}}, 5, "ordered"},
		{"the later one is not forgotten over it", []happening{{0, later}, {5, lock("1")}, {6, hand("1", true)}, {7, done("1")}}, 3600, "scheduled"},
		{"a later order with nopush never wakes", []happening{{0, device.CommandQueued{UUID: "l", NoPush: true, NotBefore: noon.Add(time.Hour)}}, {9, device.Seen{}}}, never, ""},
		{"a channel that fetched all is left alone", []happening{{0, lock("1")}, {1, accepted}, {2, hand("1", true)}, {3, done("1")}}, never, ""},
		{"a channel in a session is not pushed for more", []happening{{0, lock("1")}, {2, hand("1", true)}, {3, lock("2")}}, 62, "unanswered"},
		{"an unanswered delivery is asked after", []happening{{0, lock("1")}, {2, hand("1", true)}}, 62, "unanswered"},
		{"a cancelled order wakes nobody", []happening{{0, lock("1")}, {1, device.CommandCancelled{UUID: "1"}}}, never, ""},
		{"with one left it does", []happening{{0, lock("1")}, {0, lock("2")}, {1, device.CommandCancelled{UUID: "1"}}}, 0, "ordered"},
		{"a silent channel is pushed again after 10 s", []happening{{0, lock("1")}, {1, accepted}}, 11, "again"},
		{"then after a minute", []happening{{0, lock("1")}, {1, accepted}, {11, accepted}}, 71, "again"},
		{"then after five", []happening{{0, lock("1")}, {1, accepted}, {11, accepted}, {71, accepted}}, 371, "again"},
		{"then hourly", []happening{{0, lock("1")}, {1, accepted}, {11, accepted}, {71, accepted}, {371, accepted}}, 371 + 3600, "again"},
		{"after a day, daily", []happening{{0, lock("1")}, {1, accepted}, {11, accepted}, {71, accepted}, {day + 2, accepted}}, 2*day + 2, "again"},
		{"a contact starts it afresh", []happening{{0, lock("1")}, {1, accepted}, {11, accepted}, {20, hand("1", true)}, {21, done("1")}, {30, lock("2")}, {31, accepted}}, 41, "again"},
		{"a second order soon after a push waits for the first push's effect", []happening{{0, lock("1")}, {1, accepted}, {4, lock("2")}}, 11, "again"},
		{"a second order long after a push wakes at once", []happening{{0, lock("1")}, {1, accepted}, {11, accepted}, {71, accepted}, {100, lock("2")}}, 100, "ordered"},
		{"an order just after a push that was asked for", []happening{{0, device.PushRequested{}}, {1, accepted}, {4, lock("1")}}, 11, "ordered"},
		{"an order just after a new token wakes at once, whatever the old one was pushed", []happening{{0, device.PushRequested{}}, {1, accepted}, {2, token(false)}, {4, lock("1")}}, 4, "ordered"},
		{"NotNow as the last word needs no push for a day", []happening{{0, lock("1")}, {2, hand("1", true)}, {3, notNow("1")}}, day + 3, "deferred"},
		{"NotNow that was not the last word needs one after 15 minutes", []happening{
			{0, lock("1")}, {0, lock("2")}, {2, hand("1", true)}, {3, notNow("1")}, {3, hand("2", false)}, {4, done("2")}}, 904, "deferred"},
		{"a second time after 30", []happening{
			{0, lock("1")}, {0, lock("2")}, {2, hand("1", true)}, {3, notNow("1")}, {3, hand("2", false)}, {4, done("2")},
			{904, accepted}, {905, hand("1", true)}, {906, notNow("1")}, {906, lock("3")}, {907, accepted}, {908, hand("3", false)}, {909, done("3")}}, 909 + 1800, "deferred"},
		{"a new order after NotNow wakes at once", []happening{{0, lock("1")}, {2, hand("1", true)}, {3, notNow("1")}, {60, lock("2")}}, 60, "ordered"},
		{"somebody's request wakes at once", []happening{{5, device.PushRequested{Because: "asked"}}}, 5, "asked"},
		{"and is not repeated, for a call with nothing to fetch leaves no trace", []happening{{5, device.PushRequested{}}, {6, accepted}}, never, ""},
		{"a refused push is tried again after 1 s", []happening{{0, lock("1")}, {1, refused}}, 2, "retry"},
		{"after 2 s", []happening{{0, lock("1")}, {1, refused}, {2, refused}}, 4, "retry"},
		{"after 4 s", []happening{{0, lock("1")}, {1, refused}, {2, refused}, {4, refused}}, 8, "retry"},
		{"at most after five minutes", []happening{{0, lock("1")}, {1, refused}, {2, refused}, {4, refused}, {8, refused}, {16, refused},
			{32, refused}, {64, refused}, {128, refused}, {256, refused}, {512, refused}, {900, refused}}, 1200, "retry"},
		{"more orders do not hasten it", []happening{{0, lock("1")}, {1, refused}, {2, refused}, {3, lock("2")}}, 4, "retry"},
		{"a final refusal ends it", []happening{{0, lock("1")}, {1, final}, {2, lock("2")}}, never, ""},
		{"until the next token", []happening{{0, lock("1")}, {1, final}, {60, token(false)}}, 60, "ordered"},
		{"or until somebody asks", []happening{{0, lock("1")}, {1, final}, {60, device.PushRequested{}}}, 60, "asked"},
		{"an expired order wakes nobody", []happening{{0, lock("1")}, {1, device.CommandExpired{UUID: "1"}}}, never, ""},
		{"an answer with an unknown status is put off", []happening{{0, lock("1")}, {2, hand("1", true)}, {3, device.ResultUnmatched{UUID: "1", Because: "status"}}}, 903, "deferred"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := waking{}.after(token(true), noon.Add(-time.Hour))
			for _, h := range c.given {
				w = w.after(h.e, noon.Add(secs(h.at)))
			}
			want := int64(0)
			if c.due >= 0 {
				want = noon.Add(secs(c.due)).UnixMicro()
			}
			if got := w.wants(); got != want || want != 0 && w.Reason != c.reason {
				t.Errorf("due %v (%s), want %v (%s)", moment(got), w.Reason, moment(want), c.reason)
			}
		})
	}
}

func TestOnlyEnrolledChannelsAreWoken(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1))
	h.add("d2", noon, authenticated(1))
	h.add("d2", noon, token(true))
	anna := token(true)
	anna.Channel = "anna"
	h.add("d2", noon, anna)
	h.order("d2", noon, queued("1", "ProfileList"), device.CommandQueued{Channel: "anna", UUID: "2", RequestType: "ProfileList"})
	v := folded(t, h)
	due := must[[]Wakeup](t)(v.Due(t.Context(), noon, 10))
	if len(due) != 2 || due[0].Device != "d2" || due[0].Reason != "ordered" || due[0].Attempt != 1 || due[0].Channel == due[1].Channel {
		t.Fatalf("due: %+v", due)
	}
	if early := must[[]Wakeup](t)(v.Due(t.Context(), noon.Add(-time.Second), 10)); len(early) != 0 {
		t.Errorf("due too early: %+v", early)
	}
	if at, foreseen, err := v.NextDue(t.Context()); err != nil || !foreseen || !at.Equal(noon) {
		t.Errorf("next: %v, %v, %v", at, foreseen, err)
	}
	h.add("d2", noon.Add(time.Minute), device.Authenticated{Generation: 1, Renewal: true})
	follow(t, v, h)
	if due := must[[]Wakeup](t)(v.Due(t.Context(), noon.Add(time.Hour), 10)); len(due) != 2 {
		t.Errorf("while its profile is replaced the old enrolment lives on, and its pushes with it: %+v", due)
	}
	h.add("d2", noon.Add(2*time.Minute), token(false))
	follow(t, v, h)
	if due := must[[]Wakeup](t)(v.Due(t.Context(), noon.Add(time.Hour), 10)); len(due) != 2 {
		t.Errorf("due after it: %+v", due)
	}
	h.add("d2", noon.Add(time.Hour), device.CommandCancelled{UUID: "1"}, device.CommandCancelled{Channel: "anna", UUID: "2"}, device.CheckedOut{})
	follow(t, v, h)
	if _, foreseen, err := v.NextDue(t.Context()); err != nil || foreseen {
		t.Errorf("something is due of a device that checked out (%v)", err)
	}
}

// Whatever waits and could be offered is pushed for some time, unless it was ordered without a push or is held.
func TestNothingWaitsUnwoken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t, 60)
		v, end := fresh(t)
		defer end()
		foldHistory(t, v, w.history, 100)
		due, err := v.Due(context.Background(), w.clock.Add(100*24*time.Hour), 100)
		if err != nil {
			t.Fatal(err)
		}
		woken := map[string]bool{}
		for _, one := range due {
			woken[one.Device+string(one.Channel)] = true
		}
		for id, d := range w.devices {
			for _, c := range d.Channels {
				if d.Status == device.StatusEnrolled && c.Enrolled && w.mustWake(id, d, c) && !woken[id+string(c.ID)] {
					t.Fatalf("%s %q has %d commands waiting, and is never woken", id, c.ID, len(c.Queue))
				}
			}
		}
	})
}

// mustWake reports whether something waits that was ordered with a push, on a channel that Apple can reach.
func (w *world) mustWake(id string, d device.Device, c device.Channel) bool {
	loud, stopped := map[string]bool{}, false
	for _, env := range w.events {
		e, err := inClear{}.Decode(env)
		if err != nil || env.Stream.ID != id {
			continue
		}
		switch e := e.(type) {
		case device.CommandQueued:
			loud[e.UUID] = !e.NoPush
		case device.PushRefused:
			if e.Channel == c.ID {
				stopped = stopped || e.Final
			}
		}
	}
	for _, item := range c.Queue {
		if loud[item.UUID] && !stopped && !w.held(d, c.ID, item) {
			return true
		}
	}
	return false
}

package push_test

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
)

const otherTopic = "com.apple.mgmt.External.99999999-2222-4333-8444-555555555555"

var year = time.Now().AddDate(1, 0, 0)

func TestADeviceIsToldWhenSomethingWaits(t *testing.T) {
	h := build(t, apnstest.Options{})
	h.store(topic, year)
	h.enrol(topic, "ada")
	h.run(h.notifier())
	h.order("ada")
	h.quiet()
	p := h.apns.Pushes()
	if len(p) != 1 || p[0].Token != hex.EncodeToString([]byte("ada")) || string(p[0].Body) != `{"mdm":"magic of ada"}` {
		t.Fatalf("pushes: %+v", p)
	}
	if in := time.Until(p[0].Expiration); in < 6*24*time.Hour || in > 8*24*time.Hour {
		t.Errorf("the push is kept for %v, want 7 days", in)
	}
	events, actors := h.events("ada")
	if len(events) != 1 || events[0] != (device.PushAccepted{APNsID: p[0].ID, Attempt: 1}) {
		t.Errorf("events: %+v", events)
	}
	if actors[0].Kind != eventstore.ByWorker || actors[0].ID != "push" {
		t.Errorf("the actor is %+v", actors[0])
	}
}

func TestAUserIsToldByHisOwnTokenAndMagic(t *testing.T) {
	h := build(t, apnstest.Options{})
	h.store(topic, year)
	h.enrol(topic, "mac")
	h.token("mac", "user", []byte("his"))
	h.run(h.notifier())
	h.change("mac", func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Order("user", order(), false, at)
	})
	h.quiet()
	if p := h.apns.Pushes(); len(p) != 1 || p[0].Magic != "magic of his" {
		t.Errorf("pushes: %+v", p)
	}
}

func TestWhatFailsIsTriedAgain(t *testing.T) {
	for name, fault := range map[string]apnstest.Fault{
		"429": apnstest.TooManyRequests, "500": apnstest.InternalError, "503": apnstest.Unavailable, "HTML 502": apnstest.BadGateway,
		"GOAWAY": apnstest.GoAway, "503 and GOAWAY": apnstest.Shutdown, "cut mid-flight": apnstest.Cut, "no answer": apnstest.Hang,
		"an error of ours": {Status: 400, Reason: "BadPriority"}, "idle": {Status: 400, Reason: "IdleTimeout"},
		"what nobody knows": {Status: 418, Reason: "Teapot"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, apnstest.Options{})
			h.store(topic, year)
			h.enrol(topic, names("d", 5)...)
			var left atomic.Int32
			left.Store(12)
			h.apns.Fail(func(apnstest.Push) apnstest.Fault {
				if left.Add(-1) >= 0 {
					return fault
				}
				return apnstest.Fault{}
			})
			n := h.notifier()
			n.Timeout = 30 * time.Millisecond
			h.run(n)
			h.order(names("d", 5)...)
			h.quiet()
			for _, id := range names("d", 5) {
				events, _ := h.events(id)
				if _, ok := events[len(events)-1].(device.PushAccepted); !ok {
					t.Errorf("%s: %+v", id, events)
				}
			}
			if !strings.Contains(name, "GOAWAY") && left.Load() > 0 {
				t.Errorf("%d faults never happened", left.Load())
			}
		})
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	h := build(t, apnstest.Options{})
	h.store(topic, year)
	h.enrol(topic, "ada")
	var asked atomic.Int32
	h.apns.Fail(func(apnstest.Push) apnstest.Fault {
		if asked.Add(1) == 1 {
			return apnstest.Fault{Status: 503, Reason: "ServiceUnavailable", RetryAfter: time.Second}
		}
		return apnstest.Fault{}
	})
	h.run(h.notifier())
	h.order("ada")
	h.quiet()
	if p := h.apns.Pushes(); len(p) != 2 || p[1].At.Sub(p[0].At) < 990*time.Millisecond {
		t.Errorf("pushes: %+v", p)
	}
}

func TestADeadTokenIsNotPushedAgainUntilANewOneComes(t *testing.T) {
	for name, fault := range map[string]apnstest.Fault{
		"410":            apnstest.Unregistered,
		"BadDeviceToken": {Status: http.StatusBadRequest, Reason: "BadDeviceToken"},
		"another topic":  {Status: http.StatusBadRequest, Reason: "DeviceTokenNotForTopic"},
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, apnstest.Options{})
			h.store(topic, year)
			h.enrol(topic, "ada", "bob")
			old := hex.EncodeToString([]byte("ada"))
			h.apns.Fail(func(p apnstest.Push) apnstest.Fault {
				if p.Token == old {
					return fault
				}
				return apnstest.Fault{}
			})
			h.run(h.notifier())
			h.order("ada")
			h.quiet()
			events, _ := h.events("ada")
			want := device.PushRefused{Status: fault.Status, Reason: fault.Reason, Final: true, Unregistered: fault.Status == http.StatusGone}
			if len(events) != 1 || events[0] != want {
				t.Fatalf("events: %+v, want %+v", events, want)
			}
			h.order("bob")
			h.quiet()
			if stats := h.apns.Stats(); stats.Requests != 2 {
				t.Errorf("%d pushes were sent, want 2", stats.Requests)
			}
			h.token("ada", "", []byte("new"))
			h.quiet()
			if p := h.apns.Pushes(); p[len(p)-1].Magic != "magic of new" {
				t.Errorf("the last push is %+v", p[len(p)-1])
			}
		})
	}
}

func TestARefusalOfAnOlderTokenSaysNothingAboutTheNewest(t *testing.T) {
	for _, fault := range []apnstest.Fault{apnstest.Unregistered, {Status: http.StatusBadRequest, Reason: "BadDeviceToken"}} {
		t.Run(fault.Reason, func(t *testing.T) {
			h := build(t, apnstest.Options{})
			h.store(topic, year)
			h.enrol(topic, "ada")
			h.apns.Fail(func(p apnstest.Push) apnstest.Fault {
				if p.Magic == "magic of new" {
					return apnstest.Fault{}
				}
				h.token("ada", "", []byte("new")) // it comes while Apple thinks about the old one
				return fault
			})
			h.run(h.notifier())
			h.order("ada")
			eventually(t, "the new token is pushed", func() bool { return h.apns.Stats().Accepted > 0 })
			h.quiet()
			events, _ := h.events("ada")
			want := device.PushRefused{Status: fault.Status, Reason: fault.Reason}
			if len(events) != 2 || events[0] != want {
				t.Errorf("events: %+v, want first %+v", events, want)
			}
		})
	}
}

func TestATopicInTroubleWaitsForItsCertificateAndHoldsUpNoOther(t *testing.T) {
	expired := time.Now().Add(-time.Hour)
	for name, spoil := range map[string]func(h *house){
		"no certificate": func(*house) {},
		"expired":        func(h *house) { h.store(topic, expired) },
		"revoked":        func(h *house) { h.store(topic, year); h.apns.Revoke(topic, true) },
	} {
		t.Run(name, func(t *testing.T) {
			h := build(t, apnstest.Options{})
			spoil(h)
			h.store(otherTopic, year)
			h.enrol(topic, names("bad", 80)...)
			h.enrol(otherTopic, names("good", 80)...)
			h.order(names("bad", 80)...)
			h.order(names("good", 80)...)
			n := h.notifier()
			n.FirstWait, n.LongWait = time.Minute, time.Hour
			h.run(n)
			eventually(t, "the other topic is pushed", func() bool { return h.apns.Stats().Accepted == 80 })
			eventually(t, "somebody is told", func() bool { return h.output.count("until somebody mends it") == 1 })
			if r := h.apns.Stats().Requests; r > 80+50 {
				t.Errorf("%d requests: a storm", r)
			}
			if !slices.ContainsFunc(n.Topics(), func(s push.Topic) bool { return s.Topic == topic && s.Trouble != "" }) {
				t.Errorf("Topics() = %+v", n.Topics())
			}
			eventually(t, "no push is under way", func() bool { // one that Apple takes after all would be the end of the trouble
				return !slices.ContainsFunc(n.Topics(), func(s push.Topic) bool { return s.Topic == topic && s.UnderWay > 0 })
			})
			h.apns.Revoke(topic, false)
			h.store(topic, year.AddDate(0, 0, 1))
			eventually(t, "its devices that nobody refused are pushed", func() bool { return h.apns.Stats().Accepted >= 80+80-50 })
			if n := h.output.count("until somebody mends it"); n != 1 {
				t.Errorf("somebody was told %d times", n)
			}
		})
	}
}

func TestAHangingTopicHoldsUpNoOtherAndIsBounded(t *testing.T) {
	h := build(t, apnstest.Options{})
	h.store(topic, year)
	h.store(otherTopic, year)
	h.enrol(topic, names("hang", 300)...)
	h.enrol(otherTopic, names("good", 100)...)
	h.order(names("hang", 300)...)
	h.order(names("good", 100)...)
	h.apns.Fail(func(p apnstest.Push) apnstest.Fault { return apnstest.Fault{Hang: p.Topic == topic} })
	stop := h.run(h.notifier())
	eventually(t, "the other topic is pushed", func() bool { return h.apns.Stats().Accepted == 100 })
	if busy := h.apns.Stats().MaxBusy; busy > 100 {
		t.Errorf("%d pushes were under way at once", busy)
	}
	began := time.Now()
	stop()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v to stop", d)
	}
	if events, _ := h.events("hang0"); len(events) != 0 {
		t.Errorf("what was stopped was recorded: %+v", events)
	}
}

func TestAnOutageIsNeitherAStormNorFillsTheLog(t *testing.T) {
	h := build(t, apnstest.Options{})
	h.store(topic, year)
	h.enrol(topic, names("d", 100)...)
	h.order(names("d", 100)...)
	h.apns.Fail(func(apnstest.Push) apnstest.Fault { return apnstest.InternalError })
	n := h.notifier()
	h.run(n)
	eventually(t, "it was tried for a while", func() bool { return h.apns.Stats().Requests > 150 })
	if busy := h.apns.Stats().MaxBusy; busy > 50 {
		t.Errorf("%d pushes were under way at once", busy)
	}
	h.apns.Fail(nil)
	h.quiet()
	for _, id := range names("d", 100) {
		if events, _ := h.events(id); len(events) > 2 {
			t.Errorf("%s: %d events of one outage: %+v", id, len(events), events)
		}
	}
}

func TestABurstOfOrdersIsOnePush(t *testing.T) {
	h := build(t, apnstest.Options{})
	h.store(topic, year)
	h.enrol(topic, "ada")
	n := h.notifier()
	n.Coalesce = time.Hour
	h.run(n)
	for range 20 {
		h.order("ada")
	}
	eventually(t, "it is pushed", func() bool { return h.apns.Stats().Accepted > 0 })
	h.enrol(topic, "bob")
	h.order("bob") // whoever was pushed before has had his turn by then
	eventually(t, "the next is pushed", func() bool { return h.apns.Stats().Accepted > 1 })
	if r := h.apns.Stats().Requests; r != 2 {
		t.Errorf("%d pushes for two channels", r)
	}
}

func TestADeviceThatHasStirredIsToldAtOnce(t *testing.T) {
	h := build(t, apnstest.Options{Delivered: nil})
	h.store(topic, year)
	h.enrol(topic, "ada")
	n := h.notifier()
	n.Coalesce = time.Hour
	h.run(n)
	for range 3 {
		h.order("ada")
		h.quiet()
		h.change("ada", func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Connect(device.Report{Status: device.Idle}, at)
		})
	}
	if a := h.apns.Stats().Accepted; a != 3 {
		t.Errorf("%d pushes, want 3", a)
	}
}

func TestManyAtOnceStayOnOneConnection(t *testing.T) {
	h := build(t, apnstest.Options{MaxStreams: 100})
	h.store(topic, year)
	h.enrol(topic, names("d", 1000)...)
	h.order(names("d", 1000)...)
	h.run(h.notifier())
	h.quiet()
	if stats := h.apns.Stats(); stats.Accepted != 1000 || stats.Connections != 1 || stats.MaxBusy > 50 {
		t.Errorf("%+v", stats)
	}
}

// Nothing is lost: whatever Apple does, and however often the worker is stopped and started, every device is told.
func TestNothingIsLost(t *testing.T) {
	const devices = 2000
	var told sync.Map
	h := build(t, apnstest.Options{MaxStreams: 100, Delivered: func(_, token, _ string) { told.Store(token, true) }})
	h.store(topic, year)
	h.store(otherTopic, year)
	h.enrol(topic, names("d", devices/2)...)
	h.enrol(otherTopic, names("e", devices/2)...)
	faults := []apnstest.Fault{
		apnstest.TooManyRequests, apnstest.InternalError, apnstest.Unavailable, apnstest.BadGateway, apnstest.GoAway,
		apnstest.Cut, apnstest.Hang, apnstest.Shutdown, {Slow: 2 * time.Millisecond},
	}
	var turn atomic.Int64
	h.apns.Fail(func(apnstest.Push) apnstest.Fault {
		if i := turn.Add(1); i%4 == 0 {
			return faults[i/4%int64(len(faults))]
		}
		return apnstest.Fault{}
	})
	ids := append(names("d", devices/2), names("e", devices/2)...)
	h.order(ids[:devices/4]...)
	for round := range 3 {
		n := h.notifier()
		n.Timeout = 100 * time.Millisecond
		stop := h.run(n)
		before := h.apns.Stats().Accepted
		h.order(ids[devices/4*(round+1) : devices/4*(round+2)]...)
		eventually(t, "it is in the middle of it", func() bool { return h.apns.Stats().Accepted > before+devices/8 })
		stop()
	}
	n := h.notifier()
	n.Timeout = 100 * time.Millisecond
	h.run(n)
	h.quiet()
	for _, id := range ids {
		if _, ok := told.Load(hex.EncodeToString([]byte(id))); !ok {
			t.Errorf("%s was never told", id)
		}
	}
	for _, id := range ids {
		events, _ := h.events(id)
		accepted := 0
		for _, e := range events {
			if _, ok := e.(device.PushAccepted); ok {
				accepted++
			}
		}
		if accepted != 1 {
			t.Errorf("%s: Apple took %d pushes as the log has it, want 1", id, accepted)
		}
	}
	t.Logf("%+v", h.apns.Stats())
}

func TestTroubleWithACertificateThatWasReplacedMeanwhileIsNone(t *testing.T) {
	h := build(t, apnstest.Options{})
	h.store(topic, year)
	h.enrol(topic, "ada")
	var asked atomic.Int32
	h.apns.Fail(func(apnstest.Push) apnstest.Fault {
		if asked.Add(1) > 1 {
			return apnstest.Fault{}
		}
		h.store(topic, year.AddDate(0, 0, 1))
		return apnstest.Fault{Status: http.StatusForbidden, Reason: "BadCertificate"}
	})
	h.run(h.notifier())
	h.order("ada")
	h.quiet()
	if n := h.output.count("until somebody mends it"); n != 0 || h.apns.Stats().Accepted != 1 {
		t.Errorf("somebody was told %d times, %d pushes were accepted", n, h.apns.Stats().Accepted)
	}
}

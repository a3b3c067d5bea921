package projections

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// threeDevices is a small fleet: an iPad, a Mac and an iPhone that has left.
func threeDevices() *history {
	h := newHistory()
	for i, d := range []struct{ id, product, os, name string }{
		{"pad", "iPad13,4", "17.10", "Reception_1"}, {"mac", "Mac14,2", "15.1", "Anna's Mac"}, {"phone", "iPhone16,1", "17.9", "receptionX1"},
	} {
		e := device.Authenticated{Generation: 1, Topic: "t", ProductName: d.product, OSVersion: d.os,
			Identity: device.Identity{UDID: "U-" + d.id, SerialNumber: "S-" + d.id, DeviceName: d.name}}
		h.add(d.id, noon.Add(time.Duration(i)*time.Hour), e, token(true))
	}
	h.told("mac", "1", "SecurityInfo", `{"SecurityInfo":{"FDE_Enabled":false}}`, noon.Add(3*time.Hour))
	h.told("pad", "2", "InstalledApplicationList", `{"InstalledApplicationList":[{"Identifier":"com.bad","ShortVersion":"1.2","Version":"77"}]}`, noon.Add(4*time.Hour))
	h.told("pad", "3", "DeviceInformation", `{"QueryResponses":{"IsSupervised":true}}`, noon.Add(5*time.Hour))
	h.add("phone", noon.Add(6*time.Hour), device.CheckedOut{})
	return h
}

func TestDevicesAreChosen(t *testing.T) {
	v := folded(t, threeDevices())
	for _, c := range []struct {
		name   string
		filter DeviceFilter
		order  DeviceOrder
		want   string
	}{
		{"all", DeviceFilter{}, DeviceOrder{}, "pad mac phone"},
		{"none, last first", DeviceFilter{}, DeviceOrder{Descending: true}, "phone mac pad"},
		{"by name", DeviceFilter{}, DeviceOrder{By: ByName}, "mac pad phone"},
		{"by version", DeviceFilter{}, DeviceOrder{By: ByOSVersion}, "mac phone pad"},
		{"by the time last seen", DeviceFilter{}, DeviceOrder{By: ByLastSeen}, "mac pad phone"},
		{"status", DeviceFilter{Status: []device.Status{device.StatusEnrolled}}, DeviceOrder{}, "pad mac"},
		{"platforms", DeviceFilter{Platform: []Platform{MacOS, IOS}}, DeviceOrder{}, "mac phone"},
		{"version, as far as it goes", DeviceFilter{OSVersion: "17"}, DeviceOrder{}, "pad phone"},
		{"but not half a number", DeviceFilter{OSVersion: "17.1"}, DeviceOrder{}, ""},
		{"search in any case", DeviceFilter{Search: "RECEPTION"}, DeviceOrder{}, "pad phone"},
		{"search knows no wildcards", DeviceFilter{Search: "reception_"}, DeviceOrder{}, "pad"},
		{"search for a serial number", DeviceFilter{Search: "s-ma"}, DeviceOrder{}, "mac"},
		{"supervised", DeviceFilter{Supervised: new(true)}, DeviceOrder{}, "pad"},
		{"known not to be", DeviceFilter{Supervised: new(false)}, DeviceOrder{}, ""},
		{"seen before", DeviceFilter{SeenBefore: noon.Add(4 * time.Hour)}, DeviceOrder{}, "mac"},
		{"seen after", DeviceFilter{SeenAfter: noon.Add(4 * time.Hour)}, DeviceOrder{}, "pad phone"},
		{"pseudonyms", DeviceFilter{IDs: []string{"mac", "nobody"}}, DeviceOrder{}, "mac"},
		{"no pseudonyms", DeviceFilter{IDs: []string{}}, DeviceOrder{}, ""},
		{"an app", DeviceFilter{Application: "com.bad"}, DeviceOrder{}, "pad"},
		{"a version of an app", DeviceFilter{Application: "com.bad@1.2"}, DeviceOrder{}, "pad"},
		{"another version", DeviceFilter{Application: "com.bad@1.3"}, DeviceOrder{}, ""},
		{"a fact", DeviceFilter{Facts: []FactFilter{{Key: "security.FDE_Enabled", Op: EQ, Value: []byte("false")}}}, DeviceOrder{}, "mac"},
		{"a fact that is missing", DeviceFilter{Facts: []FactFilter{{Key: "security.FDE_Enabled", Op: Missing}}}, DeviceOrder{}, "pad phone"},
		{"two facts", DeviceFilter{Facts: []FactFilter{
			{Key: "device.OSVersion", Op: GE, Value: []byte(`"17.9"`)}, {Key: "enrollment.status", Op: EQ, Value: []byte(`"ENROLLED"`)}}}, DeviceOrder{}, "pad"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := DeviceQuery{Filter: c.filter, Order: c.order, AsOf: Now}
			var ids []string
			for _, d := range must[Listing[Device]](t)(v.Devices(t.Context(), q)).Nodes() {
				ids = append(ids, d.ID)
			}
			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("chosen: %q, want %q", got, c.want)
			}
			if n := must[int](t)(v.CountDevices(t.Context(), q)); n != len(ids) {
				t.Errorf("counted %d of %d", n, len(ids))
			}
		})
	}
}

func TestTheFleetIsCounted(t *testing.T) {
	h := threeDevices()
	v := folded(t, h)
	now := must[Fleet](t)(v.Fleet(t.Context(), Now))
	if now.Devices != 3 || now.ByStatus[device.StatusEnrolled] != 2 || now.ByStatus[device.StatusCheckedOut] != 1 || now.Supervised != 1 ||
		now.ByPlatform[IPadOS] != 1 || len(now.ByOS) != 2 || now.Position != eventstore.Position(len(h.events)) || !now.Time.Equal(noon.Add(6*time.Hour)) {
		t.Errorf("now: %+v", now)
	}
	at := must[eventstore.Position](t)(v.PositionAt(t.Context(), noon.Add(90*time.Minute)))
	if then := must[Fleet](t)(v.Fleet(t.Context(), at)); then.Devices != 2 || then.ByStatus[device.StatusEnrolled] != 2 || then.Supervised != 0 {
		t.Errorf("then: %+v", then)
	}
	if before := must[Fleet](t)(v.Fleet(t.Context(), 0)); before.Devices != 0 {
		t.Errorf("before everything: %+v", before)
	}
}

func TestEventsAreChosen(t *testing.T) {
	h := threeDevices()
	h.by(eventstore.Actor{Kind: eventstore.ByWorker, ID: "push"}, eventstore.Stream{Kind: device.Kind, ID: "mac"}, noon.Add(7*time.Hour),
		device.PushAccepted{}, device.PushRefused{Reason: "x"})
	h.add("mac", noon.Add(7*time.Hour), device.ResultUnmatched{UUID: "stray", Status: "Acknowledged", Because: "unknown"})
	h.by(ada, eventstore.Stream{Kind: operator.Kind, ID: "t2"}, noon.Add(8*time.Hour), operator.TokenCreated{Name: "Bob", Hash: "h"})
	v := folded(t, h)
	for _, c := range []struct {
		name   string
		filter EventFilter
		want   int
	}{
		{"all", EventFilter{}, len(h.events)},
		{"of a device, by serial number", EventFilter{Device: "S-phone"}, 3},
		{"of nobody", EventFilter{Device: "nobody"}, 0},
		{"of a seldom type", EventFilter{Types: []string{"device.checked-out", "no.such-type"}}, 1},
		{"of types of both sorts", EventFilter{Types: []string{"device.checked-out", "device.push-accepted"}}, 2},
		{"of an unknown type", EventFilter{Types: []string{"no.such-type"}}, 0},
		{"of a type, on a device", EventFilter{Device: "mac", Types: []string{"device.push-refused"}}, 1},
		{"by a person, by name", EventFilter{Actor: "Ada"}, 4},
		{"by a person, by id", EventFilter{Actor: "t1", Device: "mac"}, 1},
		{"by a device itself", EventFilter{Actor: "mac"}, 5},
		{"by workers", EventFilter{ActorKind: []eventstore.ActorKind{eventstore.ByWorker}}, 2},
		{"by devices and workers", EventFilter{ActorKind: []eventstore.ActorKind{eventstore.ByDevice, eventstore.ByWorker}}, len(h.events) - 4},
		{"by Apple", EventFilter{ActorKind: []eventstore.ActorKind{eventstore.ByApple}}, 0},
		{"from a time on", EventFilter{From: noon.Add(7 * time.Hour)}, 4},
		{"up to a time", EventFilter{To: noon}, 2},
		{"of a command", EventFilter{Command: "2"}, 3},
		{"of a command nobody ordered", EventFilter{Command: "stray"}, 1},
		{"of another kind of stream", EventFilter{Kind: "operator"}, 1},
		{"of devices", EventFilter{Kind: "device"}, len(h.events) - 1},
		{"search: a type", EventFilter{Search: "checked"}, 1},
		{"search: a person", EventFilter{Search: "ADA"}, 4},
		{"search: a device's name", EventFilter{Search: "anna's"}, 8},
		{"search: a command's type", EventFilter{Search: "securityinfo"}, 3},
		{"search: nothing", EventFilter{Search: "100%"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := v.Events(t.Context(), c.filter, Page{First: 1000})
			if err != nil || len(l.Edges) != c.want {
				t.Errorf("%d events, want %d (%v): %+v", len(l.Edges), c.want, err, l.Nodes())
			}
		})
	}
	people := must[Listing[Entry]](t)(v.People(t.Context(), EventFilter{}, Page{})).Nodes()
	if len(people) != 4 || people[3].Stream.String() != "operator-t2" || people[3].Actor.Name != "Ada" {
		t.Errorf("people: %+v", people)
	}
	if own := must[Listing[Entry]](t)(v.ForActor(t.Context(), "t1", Page{First: 2})); len(own.Edges) != 2 || !own.HasNext {
		t.Errorf("Ada's: %+v", own)
	}
}

func TestCommandsAreChosen(t *testing.T) {
	h := threeDevices()
	h.order("pad", noon.Add(9*time.Hour), queued("9", "DeviceLock"))
	h.order("mac", noon.Add(9*time.Hour), queued("9", "DeviceLock"), queued("10", "DeviceLock"))
	h.add("mac", noon.Add(9*time.Hour), delivered("10", "DeviceLock", 1, true), device.CommandFailed{UUID: "10", RequestType: "DeviceLock"})
	v := folded(t, h)
	for _, c := range []struct {
		name   string
		filter CommandFilter
		want   string
	}{
		{"all, last first", CommandFilter{}, "10 9 9 3 2 1"},
		{"that wait", CommandFilter{States: []CommandState{Queued, Delivered}}, "9 9"},
		{"that failed", CommandFilter{States: []CommandState{Failed, Expired}}, "10"},
		{"that failed or wait", CommandFilter{States: []CommandState{Failed, Queued}}, "10 9 9"},
		{"of a device", CommandFilter{Device: "U-mac"}, "10 9 1"},
		{"of its own channel", CommandFilter{Device: "mac", Channel: new(device.ChannelID(""))}, "10 9 1"},
		{"of a user", CommandFilter{Device: "mac", Channel: new(device.ChannelID("x"))}, ""},
		{"of a type", CommandFilter{RequestTypes: []string{"SecurityInfo", "DeviceInformation"}}, "3 1"},
		{"by somebody", CommandFilter{Actor: "Bob"}, ""},
		{"by Ada", CommandFilter{Actor: "Ada", UUIDs: []string{"1", "2"}}, "2 1"},
		{"from a time on", CommandFilter{From: noon.Add(5 * time.Hour)}, "10 9 9 3"},
		{"between times", CommandFilter{From: noon.Add(4 * time.Hour), To: noon.Add(5 * time.Hour)}, "3 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var uuids []string
			for _, one := range must[Listing[Command]](t)(v.Commands(t.Context(), c.filter, Page{})).Nodes() {
				uuids = append(uuids, one.UUID)
			}
			if got := strings.Join(uuids, " "); got != c.want {
				t.Errorf("chosen: %q, want %q", got, c.want)
			}
		})
	}
	counts := must[map[CommandState]int](t)(v.CommandCounts(t.Context()))
	if counts[Queued] != 2 || counts[Acknowledged] != 3 || counts[Failed] != 1 {
		t.Errorf("counts: %v", counts)
	}
}

// certificate stores a push certificate that is good until then.
func (h *history) certificate(until time.Time) {
	const topic = "com.apple.mgmt.test"
	h.by(ada, eventstore.Stream{Kind: pushcert.Kind, ID: topic}, noon.Add(-time.Hour), pushcert.Stored{Topic: topic, NotAfter: until})
}

func TestWhyACommandWaits(t *testing.T) {
	at := func(s float64) time.Time { return noon.Add(secs(s)) }
	for _, c := range []struct {
		name        string
		make        func(*history)
		uuid        string
		want        string
		uncertified bool // nobody has stored a push certificate
	}{
		{"not due", func(h *history) {
			h.order("d1", noon, device.CommandQueued{UUID: "1", RequestType: "DeviceLock", NotBefore: at(7200)})
		}, "1", "not due until 2026-03-01 14:00:00 UTC", false},
		{"queued", func(h *history) { h.order("d1", noon, queued("1", "DeviceLock")) }, "1", "a push is due at 2026-03-01 12:00:00 UTC", false},
		{"behind another", func(h *history) { h.order("d1", noon, queued("1", "A"), queued("2", "B")) }, "2",
			"waits behind another command; a push is due at 2026-03-01 12:00:00 UTC", false},
		{"pushed", func(h *history) {
			h.order("d1", noon, queued("1", "DeviceLock"))
			h.add("d1", at(1), device.PushAccepted{})
		}, "1", "the device was pushed at 2026-03-01 12:00:01 UTC and has not called since", false},
		{"pushed twice", func(h *history) {
			h.order("d1", noon, queued("1", "DeviceLock"))
			h.add("d1", at(1), device.PushAccepted{}, device.PushAccepted{})
		}, "1", "the device was pushed twice, last at 2026-03-01 12:00:01 UTC, and has not called since", false},
		{"handed out", func(h *history) {
			h.order("d1", noon, queued("1", "DeviceLock"))
			h.add("d1", at(1), delivered("1", "DeviceLock", 1, true))
		}, "1", "handed out at 2026-03-01 12:00:01 UTC, no answer yet; a push is due at 2026-03-01 12:01:01 UTC", false},
		{"put off", func(h *history) {
			h.order("d1", noon, queued("1", "DeviceLock"))
			h.add("d1", at(1), delivered("1", "DeviceLock", 1, true), device.CommandDeferred{UUID: "1", Deferrals: 1})
		}, "1", "the device answered NotNow once, last at 2026-03-01 12:00:01 UTC; it is offered again when the device calls; a push is due at 2026-03-02 12:00:01 UTC", false},
		{"nopush", func(h *history) {
			h.order("d1", noon, device.CommandQueued{UUID: "1", RequestType: "A", NoPush: true})
		}, "1", "nobody woke the device for it (nopush)", false},
		{"refused by Apple", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.add("d1", at(1), device.PushRefused{Reason: "InternalServerError"})
		}, "1", "the push was refused once, the next is due at 2026-03-01 12:00:02 UTC", false},
		{"dead token", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.add("d1", at(1), device.PushRefused{Reason: "Unregistered", Final: true})
		}, "1", "Apple refuses pushes to the device until it gives a new token", false},
		{"being enrolled anew", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.add("d1", at(1), device.Authenticated{Generation: 2})
		}, "1", "the device has authenticated, but is not enrolled yet", false},
		{"no push certificate", func(h *history) { h.order("d1", noon, queued("1", "A")) }, "1",
			"there is no push certificate for com.apple.mgmt.test: the device cannot be woken", true},
		{"an expired push certificate", func(h *history) {
			h.certificate(at(60))
			h.order("d1", noon, queued("1", "A"))
		}, "1", "the push certificate for com.apple.mgmt.test expired at 2026-03-01 12:01:00 UTC: the device cannot be woken", true},
		{"held with its queue", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.order("d1", at(1), device.QueueHeld{Reason: "ticket 1"})
		}, "1", "Ada holds the queue of the device since 2026-03-01 12:00:01 UTC: ticket 1", false},
		{"held itself, in a queue that is held", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.order("d1", at(1), device.QueueHeld{Reason: "ticket 1"})
			h.order("d1", at(2), device.CommandHeld{UUID: "1", Reason: "ticket 2"})
		}, "1", "Ada holds the command since 2026-03-01 12:00:02 UTC: ticket 2", false},
		{"held after it was handed out", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.add("d1", at(1), delivered("1", "A", 1, true))
			h.order("d1", at(2), device.QueueHeld{Reason: "ticket 1"})
		}, "1", "handed out at 2026-03-01 12:00:01 UTC, no answer yet, and not again for now: Ada holds the queue of the device since 2026-03-01 12:00:02 UTC: ticket 1", false},
		{"a user's, whose queue is held", func(h *history) {
			h.add("d1", noon, device.TokenUpdated{Channel: "u", Enrolled: true, Token: []byte("t"), PushMagic: "m"})
			h.order("d1", noon, device.CommandQueued{Channel: "u", UUID: "1", RequestType: "A"}, device.QueueHeld{Channel: "u", Reason: "he is away"})
		}, "1", "Ada holds the user's queue since 2026-03-01 12:00:00 UTC: he is away", false},
		{"of a user who came after the device was held", func(h *history) {
			h.order("d1", noon, device.QueueHeld{Reason: "ticket 1"})
			h.add("d1", noon, device.TokenUpdated{Channel: "u", Enrolled: true, Token: []byte("t"), PushMagic: "m"})
			h.order("d1", noon, device.CommandQueued{Channel: "u", UUID: "1", RequestType: "A"})
		}, "1", "Ada holds the queue of the device since 2026-03-01 12:00:00 UTC: ticket 1", false},
		{"it passes the hold", func(h *history) {
			h.order("d1", noon, queued("1", "A"), device.QueueHeld{Reason: "ticket 1"}, device.CommandQueued{UUID: "2", RequestType: "B", PassesHold: true})
		}, "2", "a push is due at 2026-03-01 12:00:00 UTC", false},
		{"too late", func(h *history) {
			h.order("d1", noon, device.CommandQueued{UUID: "1", RequestType: "A", ExpiresAt: at(60)})
		}, "1", "its time was over at 2026-03-01 12:01:00 UTC: it ends when the device calls next", false},
		{"released", func(h *history) {
			h.order("d1", noon, queued("1", "A"), device.QueueHeld{Reason: "ticket 1"})
			h.order("d1", at(1), device.QueueReleased{})
		}, "1", "a push is due at 2026-03-01 12:00:00 UTC", false},
		{"held, of a device that has left", func(h *history) {
			h.order("d1", noon, queued("1", "A"), device.QueueHeld{Reason: "ticket 1"})
			h.add("d1", at(1), device.CheckedOut{})
		}, "1", "the device has checked out", false},
		{"without a token", func(h *history) {
			h.order("d1", noon, device.CommandQueued{Channel: "u", UUID: "1", RequestType: "A"})
		}, "1", "no push token: the device cannot be woken", false},
		{"busy", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.add("d1", at(1), delivered("1", "A", 1, true))
			h.order("d1", at(2), queued("2", "B"))
		}, "2", "waits behind another command; the device is busy with a command since 2026-03-01 12:00:01 UTC", false},
		{"a device that was given up", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.add("d1", at(1), device.PushAccepted{}, device.PresumedUnmanaged{Reason: "silent for 90 days"})
		}, "1", "the device is presumed to be managed no longer (silent for 90 days); the device was pushed at 2026-03-01 12:00:01 UTC and has not called since", false},
		{"called, and was offered nothing", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.add("d1", at(1), device.Seen{})
		}, "1", "it is offered when the device calls next", false},
		{"ended", func(h *history) {
			h.order("d1", noon, queued("1", "A"))
			h.order("d1", at(1), device.CommandCancelled{UUID: "1", Reason: "why not"})
		}, "1", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory()
			h.add("d1", noon.Add(-time.Hour), authenticated(1), token(true))
			if !c.uncertified {
				h.certificate(at(7200))
			}
			c.make(h)
			v := folded(t, h)
			one := must[[]Command](t)(v.Command(t.Context(), c.uuid))[0]
			if got := must[string](t)(v.WaitingBecause(t.Context(), one, at(3600))); got != c.want {
				t.Errorf("because: %q, want %q", got, c.want)
			}
		})
	}
}

func TestTokensAndPushCertificates(t *testing.T) {
	h := newHistory()
	h.by(ada, eventstore.Stream{Kind: operator.Kind, ID: "t2"}, noon, operator.TokenCreated{Name: "Bob", Role: operator.Auditor, Hash: "abc", Expires: noon.Add(time.Hour)})
	h.by(ada, eventstore.Stream{Kind: pushcert.Kind, ID: "com.apple.mgmt.test"}, noon, pushcert.Stored{Topic: "com.apple.mgmt.test", Fingerprint: "1", NotAfter: noon.Add(time.Hour)})
	h.by(ada, eventstore.Stream{Kind: pushcert.Kind, ID: "com.apple.mgmt.test"}, noon, pushcert.Stored{Topic: "com.apple.mgmt.test", Fingerprint: "2", NotAfter: noon.Add(2 * time.Hour)})
	h.add("d1", noon, authenticated(1), token(true))
	v := folded(t, h)
	token, found, err := v.TokenByHash(t.Context(), "abc")
	if err != nil || !found || token.Name != "Bob" || token.Role != operator.Auditor || token.CreatedBy.Name != "Ada" || !token.Good(noon) || token.Good(noon.Add(time.Hour)) {
		t.Errorf("token: %+v, %v, %v", token, found, err)
	}
	if _, found, err := v.TokenByHash(t.Context(), "abd"); err != nil || found {
		t.Errorf("another hash: %v, %v", found, err)
	}
	h.by(ada, eventstore.Stream{Kind: operator.Kind, ID: "t2"}, noon.Add(time.Minute), operator.TokenRevoked{Reason: "left"})
	follow(t, v, h)
	if tokens := must[[]OperatorToken](t)(v.Tokens(t.Context())); len(tokens) != 1 || tokens[0].Good(noon) {
		t.Errorf("tokens: %+v", tokens)
	}
	if serials, all, err := v.Orphans(t.Context(), "com.apple.mgmt.new", 5); err != nil || all != 1 || len(serials) != 1 || serials[0] == "" {
		t.Errorf("orphans of a new topic: %v, %d, %v", serials, all, err)
	}
	if serials, all, err := v.Orphans(t.Context(), "com.apple.mgmt.new", 0); err != nil || all != 1 || serials != nil {
		t.Errorf("orphans that are counted: %v, %d, %v", serials, all, err)
	}
	if _, all, err := v.Orphans(t.Context(), "com.apple.mgmt.test", 5); err != nil || all != 0 {
		t.Errorf("orphans of the old topic: %d, %v", all, err)
	}
	certs := must[[]PushCertificate](t)(v.PushCertificates(t.Context()))
	if len(certs) != 1 || certs[0].Fingerprint != "2" || certs[0].Renewals != 1 || certs[0].Devices != 1 || !certs[0].NotAfter.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("certificates: %+v", certs)
	}
}

func TestRequestsForPushCertificates(t *testing.T) {
	h := newHistory()
	ask := func(id, topic string, at time.Time) {
		h.by(ada, eventstore.Stream{Kind: pushcert.RequestKind, ID: id}, at, pushcert.Requested{ID: id, Topic: topic, CommonName: "Example " + id})
	}
	ask("k1", "", noon)
	ask("k2", "com.apple.mgmt.test", noon.Add(time.Hour))
	h.by(ada, eventstore.Stream{Kind: pushcert.Kind, ID: "com.apple.mgmt.test"}, noon.Add(2*time.Hour), pushcert.Stored{Topic: "com.apple.mgmt.test", KeyID: "k1", NotAfter: noon.AddDate(1, 0, 0)})
	got := must[[]PushCertificateRequest](t)(folded(t, h).PushCertificateRequests(t.Context()))
	if len(got) != 2 || got[0].ID != "k2" || got[0].Topic != "com.apple.mgmt.test" || got[0].CommonName != "Example k2" || !got[0].AnsweredAt.IsZero() || got[0].MadeBy.Name != "Ada" ||
		got[1].ID != "k1" || !got[1].AnsweredAt.Equal(noon.Add(2*time.Hour)) || !got[1].MadeAt.Equal(noon) {
		t.Errorf("requests: %+v", got)
	}
}

func TestEveryEventHasASentence(t *testing.T) {
	c := &Command{RequestType: "DeviceLock", State: Acknowledged, QueuedAt: noon, DeliveredAt: noon, QueuedBy: ada}
	seen := map[string]string{}
	for _, e := range append(catalog.Events(), nil) {
		name := "nil"
		if e != nil {
			name = e.EventType()
		}
		for _, scene := range []Scene{{}, {Actor: "Ada", Device: "iPad 7", Time: noon, Command: c}} {
			sentence := Summary(e, scene)
			if len(sentence) < 10 || strings.Contains(sentence, "%!") || strings.Contains(sentence, name) {
				t.Errorf("%s: %q", name, sentence)
			}
			seen[name] = sentence
		}
		if e != nil && strings.HasPrefix(name, "device.") && !strings.Contains(seen[name], "iPad 7") {
			t.Errorf("%s does not say which device: %q", name, seen[name])
		}
	}
}

func TestSentences(t *testing.T) {
	lock := Scene{Actor: "Ada", Device: "iPad 7", Time: noon.Add(secs(60))}
	with := func(c Command) Scene {
		s := lock
		c.RequestType, c.QueuedAt, c.QueuedBy, c.Device = "DeviceLock", noon, ada, "d1"
		s.Command = &c
		return s
	}
	chain := json.RawMessage(`[{"ErrorCode":12021,"USEnglishDescription":"no such command"}]`)
	for _, c := range []struct {
		e     domain.Event
		scene Scene
		want  string
	}{
		{queued("1", "DeviceLock"), lock, "Ada ordered DeviceLock for iPad 7"},
		{queued("1", "DeviceLock"), with(Command{State: Queued}), "Ada ordered DeviceLock for iPad 7, not delivered yet"},
		{queued("1", "DeviceLock"), with(Command{State: Acknowledged, Deliveries: 1, DeliveredAt: noon.Add(secs(2)), Deferrals: 1}),
			"Ada locked iPad 7 (DeviceLock), delivered 2 s later, acknowledged after 1 NotNow"},
		{queued("1", "DeviceLock"), with(Command{State: Cancelled, Because: "found it"}), "Ada ordered DeviceLock for iPad 7, cancelled: found it"},
		{queued("1", "ProfileList"), lock, "Ada asked iPad 7 for its profiles (ProfileList)"},
		{queued("1", "Odd"), lock, "Ada ordered Odd for iPad 7"},
		{device.CommandFailed{UUID: "1", RequestType: "DeviceLock", ErrorChain: chain}, with(Command{State: Failed}),
			"iPad 7 could not do DeviceLock (ordered by Ada): no such command"},
		{device.CommandFailed{UUID: "1", RequestType: "DeviceLock", ErrorChain: json.RawMessage(`[{"ErrorCode":12013,"ErrorDomain":"MCMDMErrorDomain"}]`)}, lock,
			"iPad 7 could not do DeviceLock: MCMDMErrorDomain 12013"},
		{device.ResultUnmatched{Status: "Acknowledged", Because: "settled"}, lock, "iPad 7 answered Acknowledged to a command that had ended before"},
		{device.ResultUnmatched{Status: "Pondering", Because: "status"}, lock, `iPad 7 answered "Pondering", a status that nobody knows; the command still waits`},
		{device.PushRequested{Because: "asked"}, lock, "Ada asked Apple to wake iPad 7"},
		{device.Seen{Polls: 1}, lock, "iPad 7 called, and nothing waited"},
		{device.Seen{Polls: 4}, lock, "iPad 7 called, 4 times since it was last told of, and nothing waited"},
		{answered("1", "DeviceLock", ""), with(Command{State: Acknowledged, Deferrals: 2}), "iPad 7 acknowledged DeviceLock (ordered by Ada), 60 s after the order, and 2 NotNow"},
		{answered("1", "DeviceLock", ""), with(Command{State: Acknowledged}), "iPad 7 acknowledged DeviceLock (ordered by Ada), 60 s after the order"},
	} {
		if got := Summary(c.e, c.scene); got != c.want {
			t.Errorf("%s: %q, want %q", c.e.EventType(), got, c.want)
		}
	}
}

func TestPlatformsAndVersions(t *testing.T) {
	for name, want := range map[string]Platform{
		"iPhone16,1": IOS, "iPod9,1": IOS, "iPad13,4": IPadOS, "Mac14,2": MacOS, "MacBookPro18,1": MacOS, "iMac21,1": MacOS,
		"VirtualMac2,1": MacOS, "AppleTV11,1": TVOS, "Watch6,1": WatchOS, "RealityDevice14,1": VisionOS, "": "", "Toaster": "",
	} {
		if got := platformOf(name, ""); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	sorted := []string{"9", "9.0.1", "10", "17.1", "17.2", "17.10", "26"}
	for i := range sorted[1:] {
		if sortable(sorted[i]) >= sortable(sorted[i+1]) {
			t.Errorf("%s does not sort before %s", sorted[i], sorted[i+1])
		}
	}
	if sortable("17.0") != sortable("17") {
		t.Error("17.0 is not 17")
	}
}

func TestOddPagesAreRefused(t *testing.T) {
	v := folded(t, threeDevices())
	for _, p := range []Page{{First: -1}, {First: 1, Last: 1}, {First: 1001}, {After: "?"}, {After: "e30"}} {
		_, err := v.Events(t.Context(), EventFilter{}, p)
		if refusal, is := errors.AsType[*domain.Refusal](err); !is || refusal.Reason != domain.Invalid {
			t.Errorf("%+v: %v", p, err)
		}
	}
	byName := must[Listing[Device]](t)(v.Devices(t.Context(), DeviceQuery{Order: DeviceOrder{By: ByName}, AsOf: Now}))
	_, err := v.Devices(t.Context(), DeviceQuery{AsOf: Now, Page: Page{After: byName.Edges[0].Cursor}})
	if _, is := domain.Refused(err); !is {
		t.Errorf("a cursor of another order: %v", err)
	}
	if _, err := v.Devices(t.Context(), DeviceQuery{AsOf: Now, Order: DeviceOrder{By: "SIZE"}}); err == nil {
		t.Error("devices were sorted by nothing")
	}
}

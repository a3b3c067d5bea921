package projections

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A script is a history whose events need no decoding: what is measured is the folding alone.
type script struct {
	*history
	decoded []domain.Event
}

func (s *script) add(id string, at time.Time, by eventstore.Actor, events ...domain.Event) {
	for _, e := range events {
		s.events = append(s.events, eventstore.Envelope{
			ID: eventstore.NewUUID(), Stream: eventstore.Stream{Kind: device.Kind, ID: id}, Position: eventstore.Position(len(s.events) + 1),
			Type: e.EventType(), Time: at, Actor: by,
		})
		s.decoded = append(s.decoded, e)
	}
}

func (s *script) Encode(env eventstore.Envelope, _ domain.Event) (eventstore.Envelope, error) {
	return env, nil
}
func (s *script) Decode(env eventstore.Envelope) (domain.Event, error) {
	return s.decoded[env.Position-1], nil
}

const fleetSize = 2000

func benchDevice(i int) (string, eventstore.Actor) {
	id := fmt.Sprintf("%064x", i*7919)
	return id, eventstore.Actor{Kind: eventstore.ByDevice, ID: id}
}

func newScript() *script {
	s := &script{history: newHistory()}
	for i := range fleetSize {
		id, itself := benchDevice(i)
		e := authenticated(1)
		e.Identity = device.Identity{UDID: fmt.Sprintf("UDID-%d", i), SerialNumber: fmt.Sprintf("SERIAL%d", i), DeviceName: fmt.Sprintf("iPad %d", i)}
		s.add(id, noon, itself, e, device.IdentityPinned{Certificate: id}, token(true))
	}
	return s
}

// round adds one command round trip for each device, in groups of 64 at once.
func (s *script) round(n int, requestType string, result func(device int) json.RawMessage) {
	for first := 0; first < fleetSize; first += 64 {
		for i := first; i < min(first+64, fleetSize); i++ {
			id, _ := benchDevice(i)
			s.add(id, noon.Add(time.Hour), ada, queued(fmt.Sprintf("%08X-0000-4000-8000-%012X", n, i), requestType))
		}
	}
	for first := 0; first < fleetSize; first += 64 {
		for i := first; i < min(first+64, fleetSize); i++ {
			id, itself := benchDevice(i)
			uuid := fmt.Sprintf("%08X-0000-4000-8000-%012X", n, i)
			s.add(id, noon.Add(time.Hour), itself, delivered(uuid, requestType, 1, true))
			s.add(id, noon.Add(time.Hour), itself, device.CommandAcknowledged{UUID: uuid, RequestType: requestType, Result: result(i)})
		}
	}
}

func apps(n, version int) json.RawMessage {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"BundleSize":%d,"Identifier":"com.example.app%d","Name":"App %d","ShortVersion":"%d.0","Version":"%d.0.1"}`,
			1000+i, i, i, version, version)
	}
	return json.RawMessage(`{"InstalledApplicationList":[` + b.String()[1:] + `]}`)
}

// fold measures the folding of what part adds to a history of 2,000 enrolled devices.
func fold(b *testing.B, unit string, per int, before, part func(*script)) {
	b.Helper()
	s := newScript()
	before(s)
	base := len(s.events)
	part(s)
	added := len(s.events) - base
	all := s.events
	for b.Loop() {
		b.StopTimer()
		v := open(b)
		s.events = all[:base:base]
		foldScript(b, v, s)
		s.events = all
		b.StartTimer()
		foldScript(b, v, s)
	}
	total := time.Duration(b.Elapsed())
	b.ReportMetric(float64(total.Microseconds())/float64(b.N)/float64(added*per), "µs/"+unit)
	b.ReportMetric(0, "ns/op")
}

func foldScript(b *testing.B, v *Views, s *script) {
	for start := int(v.Position()); start < len(s.events); start += 256 {
		if err := v.foldChunk(s.events[start:min(start+256, len(s.events))], s); err != nil {
			b.Fatal(err)
		}
	}
}

func none(int) json.RawMessage { return nil }

func BenchmarkFold(b *testing.B) {
	nothing := func(*script) {}
	b.Run("enrolment", func(b *testing.B) {
		fold(b, "event", 1, func(s *script) { s.events, s.decoded = nil, nil }, func(s *script) {
			fresh := newScript()
			s.events, s.decoded = fresh.events, fresh.decoded
		})
	})
	b.Run("queued delivered acknowledged", func(b *testing.B) {
		fold(b, "event", 1, func(s *script) { s.round(0, "DeviceLock", none) }, func(s *script) {
			for n := range 5 {
				s.round(n+1, "DeviceLock", none)
			}
		})
	})
	b.Run("60 apps, new", func(b *testing.B) {
		fold(b, "fact", 20, nothing, func(s *script) {
			s.round(1, "InstalledApplicationList", func(int) json.RawMessage { return apps(60, 1) })
		})
	})
	b.Run("60 apps, unchanged", func(b *testing.B) {
		fold(b, "fact", 20, func(s *script) {
			s.round(1, "InstalledApplicationList", func(int) json.RawMessage { return apps(60, 1) })
		}, func(s *script) {
			s.round(2, "InstalledApplicationList", func(int) json.RawMessage { return apps(60, 1) })
		})
	})
	b.Run("60 apps, all updated", func(b *testing.B) {
		fold(b, "fact", 20, func(s *script) {
			s.round(1, "InstalledApplicationList", func(int) json.RawMessage { return apps(60, 1) })
		}, func(s *script) {
			s.round(2, "InstalledApplicationList", func(int) json.RawMessage { return apps(60, 2) })
		})
	})
}

// A BenchmarkAsk measures questions to views of 2,000 devices with 60 apps each and 12 commands.
func BenchmarkAsk(b *testing.B) {
	s := newScript()
	s.round(0, "InstalledApplicationList", func(int) json.RawMessage { return apps(60, 1) })
	s.round(1, "InstalledApplicationList", func(int) json.RawMessage { return apps(60, 2) })
	for n := range 10 {
		s.round(n+2, "DeviceLock", none)
	}
	v := open(b)
	foldScript(b, v, s)
	then := eventstore.Position(len(s.events) / 2)
	id, _ := benchDevice(1234)
	rare := DeviceFilter{Facts: []FactFilter{{Key: "device.SerialNumber", Op: EQ, Value: []byte(`"SERIAL1999"`)}}}
	for _, c := range []struct {
		name string
		ask  func() error
	}{
		{"a device", func() error { _, _, err := v.Device(b.Context(), "SERIAL1234", Now); return err }},
		{"a device then", func() error { _, _, err := v.Device(b.Context(), "SERIAL1234", then); return err }},
		{"100 devices", func() error {
			_, err := v.Devices(b.Context(), DeviceQuery{Page: Page{First: 100}, AsOf: Now})
			return err
		}},
		{"100 devices then", func() error {
			_, err := v.Devices(b.Context(), DeviceQuery{Page: Page{First: 100}, AsOf: then})
			return err
		}},
		{"100 devices by name", func() error {
			_, err := v.Devices(b.Context(), DeviceQuery{Page: Page{First: 100}, Order: DeviceOrder{By: ByName}, AsOf: Now})
			return err
		}},
		{"the one device with a fact", func() error { _, err := v.Devices(b.Context(), DeviceQuery{Filter: rare, AsOf: Now}); return err }},
		{"the fleet", func() error { _, err := v.Fleet(b.Context(), Now); return err }},
		{"the fleet then", func() error { _, err := v.Fleet(b.Context(), then); return err }},
		{"facts", func() error { _, err := v.Facts(b.Context(), id, "", Now); return err }},
		{"50 events of a device", func() error { _, err := v.Events(b.Context(), EventFilter{Device: id}, Page{Last: 50}); return err }},
		{"50 events", func() error { _, err := v.Events(b.Context(), EventFilter{}, Page{Last: 50}); return err }},
		{"50 commands", func() error { _, err := v.Commands(b.Context(), CommandFilter{}, Page{}); return err }},
		{"wakeups", func() error { _, err := v.Due(b.Context(), noon, 100); return err }},
		{"a position", func() error { _, err := v.PositionAt(b.Context(), noon.Add(time.Minute)); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

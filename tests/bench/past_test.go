package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// A past is the log of a fleet that was managed for some weeks, sealed as a server seals it, in a directory of its own.
type past struct {
	dir     string
	log     *embedded.Log
	codec   *seal.Codec[domain.Event]
	devices *eventstore.Repository[device.Device, domain.Event]
}

var pastBegins = time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)

// lived makes the past of a fleet: every device enrols and is asked and told things, a round a day. A round is some
// ten events for each device.
func lived(tb testing.TB, fleet, rounds int) *past {
	tb.Helper()
	p := &past{dir: tb.TempDir(), codec: &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}}
	var err error
	if p.log, err = embedded.Open(tb.Context(), filepath.Join(p.dir, "log.db"), embedded.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.log.Close() })
	for round := range rounds + 1 {
		at := pastBegins.AddDate(0, 0, round)
		p.devices = &eventstore.Repository[device.Device, domain.Event]{
			Log: p.log, Codec: p.codec, Kind: device.Kind, Fold: device.Device.Evolve, CacheSize: 1 << 30, Now: func() time.Time { return at },
		}
		g, ctx := errgroup.WithContext(tb.Context())
		g.SetLimit(64)
		for i := range fleet {
			g.Go(func() error { return p.day(ctx, i, round, at) })
		}
		if err := g.Wait(); err != nil {
			tb.Fatal(err)
		}
	}
	return p
}

// day is what happens to a device in a round.
func (p *past) day(ctx context.Context, i, round int, at time.Time) error {
	if round == 0 {
		return p.enrol(ctx, i, at)
	}
	for n, question := range questions {
		if n > 1 && (i+round+n)%3 != 0 { // lists are asked for every third day
			continue
		}
		if err := p.ask(ctx, i, round, n, question, at); err != nil {
			return err
		}
	}
	return p.decide(ctx, i, func(d device.Device) ([]domain.Event, error) {
		return d.Connect(device.Report{Status: device.Idle}, at.Add(8*time.Hour))
	})
}

func pseudonym(i int) string { return fmt.Sprintf("%064x", i*7919+1) }

func (p *past) decide(ctx context.Context, i int, decide func(device.Device) ([]domain.Event, error)) error {
	id := pseudonym(i)
	meta := eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: id, Address: "192.0.2.7"}}
	_, err := p.devices.Update(ctx, id, meta, func(d device.Device, _ time.Time) ([]domain.Event, error) { return decide(d) })
	return err
}

func (p *past) enrol(ctx context.Context, i int, at time.Time) error {
	certificate := device.Certificate{Fingerprint: pseudonym(i), NotAfter: at.AddDate(1, 0, 0), Serial: fmt.Sprintf("%x", i)}
	who := device.Identity{UDID: fmt.Sprintf("00008110-%016X", i), SerialNumber: fmt.Sprintf("C02%07d", i), DeviceName: fmt.Sprintf("iPad %d", i)}
	if err := p.decide(ctx, i, func(d device.Device) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Topic: "com.apple.mgmt.bench", OSVersion: "26.1", BuildVersion: "23B74", ProductName: "iPad14,8",
			Model: "MV6E3", ModelName: "iPad Air", Certificate: certificate, Identity: who}, at)
	}); err != nil {
		return err
	}
	return p.decide(ctx, i, func(d device.Device) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Topic: "com.apple.mgmt.bench", Token: []byte(pseudonym(i)[:32]), PushMagic: who.UDID, Identity: who,
			Certificate: certificate}, at)
	})
}

// ask orders a command, wakes the device, which says NotNow now and then, and lets it answer.
func (p *past) ask(ctx context.Context, i, round, n int, q question, at time.Time) error {
	uuid := fmt.Sprintf("%08X-%04X-4000-8000-%012X", round, n, i)
	ada := eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByToken, ID: "t1", Name: "inventory", Role: "operator"}}
	if _, err := p.devices.Update(ctx, pseudonym(i), ada, func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.Order("", device.Order{UUID: uuid, RequestType: q.requestType, Body: make([]byte, 300), Parameters: json.RawMessage(`{}`)}, false, at)
	}); err != nil {
		return err
	}
	if err := p.decide(ctx, i, func(d device.Device) ([]domain.Event, error) {
		return d.RecordPush(device.Push{Token: []byte(pseudonym(i)[:32]), APNsID: uuid, Attempt: 1})
	}); err != nil {
		return err
	}
	says := []device.Report{{Status: device.Idle}, {Status: device.Acknowledged, UUID: uuid, Result: q.answer(i, round)}}
	if (i+round+n)%10 == 0 {
		says = append([]device.Report{{Status: device.Idle}, {Status: device.NotNow, UUID: uuid}}, says...)
	}
	for _, r := range says {
		if err := p.decide(ctx, i, func(d device.Device) ([]domain.Event, error) { return d.Connect(r, at.Add(time.Minute)) }); err != nil {
			return err
		}
	}
	return nil
}

// A question is a command, and what a device answers to it on a day.
type question struct {
	requestType string
	answer      func(i, round int) json.RawMessage
}

var questions = []question{
	{"DeviceInformation", information},
	{"SecurityInfo", func(int, int) json.RawMessage {
		return json.RawMessage(`{"SecurityInfo":{"FDE_Enabled":true,"PasscodePresent":true,"PasscodeCompliant":true,"HardwareEncryptionCaps":3,
			"ManagementStatus":{"EnrolledViaDEP":true,"UserApprovedEnrollment":true,"IsUserEnrollment":false},"FirewallSettings":{"FirewallEnabled":true,"StealthMode":false}}}`)
	}},
	{"InstalledApplicationList", applications},
	{"ProfileList", func(int, int) json.RawMessage { return profiles }},
	{"DeviceLock", func(int, int) json.RawMessage { return nil }},
}

// information is some thirty answers, of which two change by the day.
func information(i, round int) json.RawMessage {
	var b strings.Builder
	fmt.Fprintf(&b, `{"QueryResponses":{"UDID":"00008110-%016X","DeviceName":"iPad %d","OSVersion":"26.%d","BatteryLevel":0.%d,"AvailableDeviceCapacity":%d.5`,
		i, i, 1+round/10, 10+(i+round)%90, 20+(i+round)%40)
	for n := range 25 {
		fmt.Fprintf(&b, `,"Quality%d":"the same on every day, %d"`, n, n)
	}
	b.WriteString("}}")
	return json.RawMessage(b.String())
}

// applications are sixty apps, of which one is updated each week.
func applications(i, round int) json.RawMessage {
	var b strings.Builder
	for n := range 60 {
		version, data := 1, 5000+n
		if n%12 == 0 { // apps that are used store more or less each day
			data += i * round % 977
		}
		if n == (round/7)%60 {
			version = 1 + round/7
		}
		fmt.Fprintf(&b, `,{"BundleSize":%d,"DynamicSize":%d,"Identifier":"com.example.app%d","Installing":false,"Name":"Application %d","ShortVersion":"%d.0","Version":"%d.0.1"}`,
			1000+n, data, n, n, version, version)
	}
	return json.RawMessage(`{"InstalledApplicationList":[` + b.String()[1:] + `]}`)
}

var profiles = func() json.RawMessage {
	var b strings.Builder
	for n := range 8 {
		fmt.Fprintf(&b, `,{"PayloadIdentifier":"com.example.profile%d","PayloadUUID":"00000000-0000-4000-8000-%012d","PayloadDisplayName":"Profile %d","PayloadVersion":1,"IsManaged":true,
			"PayloadContent":[{"PayloadType":"com.apple.wifi.managed","PayloadIdentifier":"com.example.profile%d.wifi"}]}`, n, n, n, n)
	}
	return json.RawMessage(`{"ProfileList":[` + b.String()[1:] + `]}`)
}()

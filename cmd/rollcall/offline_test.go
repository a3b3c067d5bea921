package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// morning is when the histories of these tests begin.
var morning = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// A past makes a data directory with a history.
type past struct {
	t   *testing.T
	dir string
	now time.Time
	*house
}

// lived returns a data directory of a server that does not run: two devices enrolled, one with a user, and were
// ordered things; two hours lie between what U1 answered first and last.
func lived(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	p := openPast(t, dir, morning)
	p.enrol("U1")
	p.enrol("U2")
	p.device("U1", func(d device.Device) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{
			Channel: p.channel("U1"), Topic: "topic", Token: []byte("CANARYUSERTOKEN"), PushMagic: "CANARYUSERMAGIC",
			User: device.User{UserID: "user-1", UserShortName: "CANARYUSER"},
		}, p.now)
	})
	p.ask("U1", "", "DeviceInformation", `{"QueryResponses":{"OSVersion":"18.1","DeviceName":"CANARYNAME-U1"}}`)
	p.now = p.now.Add(2 * time.Hour)
	p.ask("U1", "", "InstalledApplicationList", `{"InstalledApplicationList":[{"Identifier":"com.example.canary","Name":"CANARYAPP, a name that is long enough to be kept once"}]}`)
	p.ask("U1", "", "UserList", `{"Users":[{"UserName":"CANARYUSER","DataUsed":7}]}`)
	p.ask("U2", "", "DeviceInformation", `{"QueryResponses":{"OSVersion":"18.2"}}`)
	p.order("U1", "", "DeviceLock")
	p.order("U1", p.channel("U1"), "ProfileList")
	p.close()
	return dir
}

func openPast(t *testing.T, dir string, at time.Time) *past {
	t.Helper()
	p := &past{t: t, dir: dir, now: at}
	var err error
	p.house, err = openHouse(t.Context(), opening{Dir: dir, Logger: slog.New(slog.DiscardHandler)},
		func() time.Time { p.now = p.now.Add(time.Second); return p.now })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *past) close() {
	p.t.Helper()
	if err := p.house.close(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *past) channel(udid string) device.ChannelID {
	return device.ChannelID(p.pseudonyms.Channel(udid, "user-1"))
}

// device has a device decide, and fails the test if it refuses.
func (p *past) device(udid string, decide func(device.Device) ([]domain.Event, error)) eventstore.Change[device.Device, domain.Event] {
	p.t.Helper()
	id := p.pseudonyms.Device(udid)
	meta := eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: id, Address: "192.0.2.77"}, Evidence: []byte("CANARYEVIDENCE " + udid)}
	change, err := p.devices.Update(p.t.Context(), id, meta, func(d device.Device, _ time.Time) ([]domain.Event, error) { return decide(d) })
	if err != nil {
		p.t.Fatal(err)
	}
	return change
}

func (p *past) enrol(udid string) {
	p.t.Helper()
	p.device(udid, func(d device.Device) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{
			Topic: "topic", OSVersion: "18.0", ProductName: "iPhone15,2", Certificate: device.Certificate{Fingerprint: "c0ffee" + udid},
			Identity: device.Identity{UDID: udid, SerialNumber: "CANARYSERIAL" + udid, DeviceName: "CANARYNAME-" + udid},
		}, p.now)
	})
	p.device(udid, func(d device.Device) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Topic: "topic", Token: []byte("CANARYTOKEN"), PushMagic: "CANARYMAGIC",
			UnlockToken: []byte("CANARYUNLOCK"), Identity: device.Identity{UDID: udid}, Certificate: device.Certificate{Fingerprint: "c0ffee" + udid}}, p.now)
	})
}

// order queues a command, and returns its UUID.
func (p *past) order(udid string, channel device.ChannelID, requestType string) string {
	p.t.Helper()
	uuid := eventstore.NewUUID().String()
	who := eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByToken, ID: "ada", Name: "Ada", Role: string(operator.Operator)}}
	_, err := p.devices.Update(p.t.Context(), p.pseudonyms.Device(udid), who, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Order(channel, device.Order{UUID: uuid, RequestType: requestType, Body: device.Document("CANARYBODY"), Reason: "CANARYREASON"}, false, at)
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return uuid
}

// ask orders a command, and has the device fetch and answer it.
func (p *past) ask(udid string, channel device.ChannelID, requestType, result string) {
	p.t.Helper()
	uuid := p.order(udid, channel, requestType)
	p.device(udid, func(d device.Device) ([]domain.Event, error) {
		return d.Connect(device.Report{Channel: channel, Status: device.Idle}, p.now)
	})
	p.device(udid, func(d device.Device) ([]domain.Event, error) {
		return d.Connect(device.Report{Channel: channel, Status: device.Acknowledged, UUID: uuid, Result: json.RawMessage(result)}, p.now)
	})
}

// run runs a command and returns what it printed.
func run(t *testing.T, on *stopped, command interface{ Run(context.Context) error }) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	on.Out, on.Err = &out, &errs
	err := command.Run(t.Context())
	return out.String() + errs.String(), err
}

func replayed(t *testing.T, c replayCmd, dir string) string {
	t.Helper()
	c.Data = dir
	out, err := run(t, &c.stopped, &c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReplayTellsHistory(t *testing.T) {
	dir := lived(t)
	all := replayed(t, replayCmd{}, dir)
	for _, want := range []string{"CANARYNAME-U1", "CANARYNAME-U2", "Ada ordered DeviceLock for CANARYNAME-U1, not delivered yet", "2026-03-01T09:00:0", "  #1  "} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in:\n%s", want, all)
		}
	}
	if lines := strings.Count(all, "\n"); lines != 21 {
		t.Errorf("%d lines:\n%s", lines, all)
	}
	one := replayed(t, replayCmd{Device: "U2"}, dir)
	if strings.Contains(one, "NAME-U1") || !strings.Contains(one, "CANARYNAME-U2") {
		t.Errorf("the history of U2:\n%s", one)
	}
	if bySerial := replayed(t, replayCmd{Device: "CANARYSERIALU2"}, dir); bySerial != one {
		t.Errorf("by serial number:\n%s", bySerial)
	}
	late := replayed(t, replayCmd{From: moment{morning.Add(time.Hour)}}, dir)
	early := replayed(t, replayCmd{To: moment{morning.Add(time.Hour)}}, dir)
	if early+late != all || early == "" || late == "" {
		t.Errorf("early:\n%slate:\n%s", early, late)
	}
	queued := replayed(t, replayCmd{Type: []string{"device.command-q*"}}, dir)
	if lines := strings.Count(queued, "\n"); lines != 6 {
		t.Errorf("%d lines of that type:\n%s", lines, queued)
	}
}

func TestReplayForProgramsMasksSecrets(t *testing.T) {
	out := replayed(t, replayCmd{JSON: true}, lived(t))
	for line := range strings.Lines(out) {
		var l replayLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Type == "" || l.Summary == "" || l.Time.IsZero() {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, secret := range []string{"CANARYTOKEN", "Q0FOQVJZVE9LRU4", "CANARYMAGIC", "CANARYUNLOCK", "Q0FOQVJZVU5MT0NL", "CANARYBODY", "Q0FOQVJZQk9EW", "CANARYEVIDENCE"} {
		if strings.Contains(out, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	for _, shown := range []string{"CANARYSERIALU1", "CANARYAPP", `"UnlockToken":"••••••"`} {
		if !strings.Contains(out, shown) {
			t.Errorf("%s is not shown in\n%s", shown, out)
		}
	}
}

func TestReplayShowsAMoment(t *testing.T) {
	dir := lived(t)
	before, after := moment{morning.Add(time.Hour)}, moment{morning.Add(24 * time.Hour)}
	if out := replayed(t, replayCmd{AsOf: before, Device: "U1"}, dir); strings.Contains(out, "com.example.canary") || !strings.Contains(out, `device.OSVersion: "18.1"`) {
		t.Errorf("U1 before:\n%s", out)
	}
	if out := replayed(t, replayCmd{AsOf: after, Device: "U1"}, dir); !strings.Contains(out, "application.com.example.canary") || !strings.Contains(out, "2 waiting") {
		t.Errorf("U1 after:\n%s", out)
	}
	if out := replayed(t, replayCmd{AsOf: after}, dir); !strings.Contains(out, "2 devices at") || !strings.Contains(out, "2 ENROLLED") || strings.Count(out, "\n") != 3 {
		t.Errorf("the fleet:\n%s", out)
	}
	var state deviceState
	if err := json.Unmarshal([]byte(replayed(t, replayCmd{AsOf: after, Device: "U2", JSON: true}, dir)), &state); err != nil || state.Device.OSVersion != "18.2" {
		t.Errorf("%+v, %v", state, err)
	}
	c := replayCmd{AsOf: moment{morning.Add(-time.Hour)}, Device: "U1", stopped: stopped{Data: dir}}
	if out, err := run(t, &c.stopped, &c); err == nil || !strings.Contains(err.Error(), "was not known at") {
		t.Errorf("before its time: %s, %v", out, err)
	}
}

func TestACommandOnADirectoryInUseSaysSo(t *testing.T) {
	p := openPast(t, t.TempDir(), morning)
	defer p.close()
	c := verifyCmd{stopped: stopped{Data: p.dir}}
	if _, err := run(t, &c.stopped, &c); err == nil || !strings.Contains(err.Error(), "a server is running") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

func TestACommandMakesNoKeysThatAreMissing(t *testing.T) {
	for _, file := range []string{"log.db", "master.key", "index.key", "keys.db"} {
		dir := lived(t)
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		c := replayCmd{stopped: stopped{Data: dir}}
		if _, err := run(t, &c.stopped, &c); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("without %s: %v", file, err)
		}
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			t.Errorf("%s was made anew", file)
		}
	}
}

func TestAMomentIsReadInTwoForms(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-03-01": morning.Add(-9 * time.Hour), "2026-03-01T10:00:00+01:00": morning, "2026-03-01T09:00:00.5Z": morning.Add(time.Second / 2),
	} {
		var m moment
		if err := m.UnmarshalText([]byte(text)); err != nil || !m.Equal(want) {
			t.Errorf("%s: %v, %v", text, m, err)
		}
	}
	if err := new(moment).UnmarshalText([]byte("yesterday")); err == nil {
		t.Error("yesterday is no time")
	}
}

func TestProgressIsToldOfLongWorkOnly(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "reading", 10)
	p.at(1)
	p.end()
	if out.Len() != 0 {
		t.Errorf("short work told %q", out.String())
	}
	p.next = time.Time{}
	p.at(5)
	p.end()
	if want := "\rreading: 5 of 10 events (50 %)\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
}

package mdmtest_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// portrait returns all that a device tells of itself.
func portrait(d *mdmtest.Device) string {
	return fmt.Sprint(d.ID(), d.Name, d.SerialNumber, d.IMEI, d.ProductName, d.OSVersion, d.Battery, d.Free, d.Push, d.Apps, d.Profiles, d.Certificates, d.Supervised)
}

func TestSameSeedSameFleet(t *testing.T) {
	make := func(seed uint64) (all []string) {
		devices, err := mdmtest.Fleet{Size: 40, Seed: seed, Users: true}.Make()
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		for _, d := range devices {
			d.Live(rng, 30)
			all = append(all, portrait(d))
		}
		return all
	}
	if !slices.Equal(make(1), make(1)) {
		t.Error("the same seed made two fleets")
	}
	if slices.Equal(make(1), make(2)) {
		t.Error("two seeds made the same fleet")
	}
}

func TestFleetIsMixedAndDistinct(t *testing.T) {
	devices, err := mdmtest.Fleet{Size: 200, Seed: 3, Users: true}.Make()
	if err != nil {
		t.Fatal(err)
	}
	ids, platforms := map[string]bool{}, map[mdmtest.Platform]int{}
	for _, d := range devices {
		ids[d.ID()], ids[d.SerialNumber] = true, true
		platforms[d.Platform]++
		if found, u, ok := mdmtest.Find(devices, hex.EncodeToString(d.Push.Token)); !ok || u != nil || found != d {
			t.Errorf("the token of %s is found at %v", d.ID(), found)
		}
		for _, u := range d.Users {
			if found, his, ok := mdmtest.Find(devices, hex.EncodeToString(u.Push.Token)); !ok || his != u || found != d {
				t.Errorf("the token of %s is found at %v", u.ShortName, found)
			}
		}
	}
	if len(ids) != 400 || len(platforms) != 4 || platforms[mdmtest.IOS] < 80 || platforms[mdmtest.TvOS] < 5 {
		t.Errorf("%d names, %v", len(ids), platforms)
	}
	if _, _, ok := mdmtest.Find(devices, "00"); ok {
		t.Error("a token of nobody was found")
	}
}

func TestLifeChangesOneDeviceAlone(t *testing.T) {
	devices, err := mdmtest.Fleet{Size: 400, Seed: 5, Mix: []mdmtest.Platform{mdmtest.MacOS}}.Make()
	if err != nil {
		t.Fatal(err)
	}
	before := portrait(devices[1])
	apps := map[*mdmtest.App]int{}
	for _, d := range devices {
		apps[&d.Apps[0]]++
	}
	if len(apps) > 16 {
		t.Errorf("400 devices hold %d sets of apps in memory", len(apps))
	}
	old := devices[0].OSVersion
	devices[0].Live(rand.New(rand.NewPCG(1, 1)), 365)
	if portrait(devices[1]) != before {
		t.Error("one device lived, and another changed")
	}
	if devices[0].OSVersion == old && old != "26.1" || reflect.DeepEqual(devices[0].Apps, devices[2].Apps) {
		t.Error("a year went by without a trace")
	}
}

func TestCheckTable(t *testing.T) {
	end := func(uuids ...string) (list []mdmtest.Delivery) {
		for _, u := range uuids {
			uuid, later := strings.CutSuffix(u, "?")
			status := "Acknowledged"
			if later {
				status = "NotNow"
			}
			list = append(list, mdmtest.Delivery{UUID: uuid, Status: status})
		}
		return list
	}
	for _, c := range []struct {
		name      string
		delivered []mdmtest.Delivery
		want      mdmtest.Audit
	}{
		{"all well", end("a", "b", "c"), mdmtest.Audit{}},
		{"deferred, then done", end("a?", "b", "c", "a"), mdmtest.Audit{}},
		{"one lost", end("a", "c"), mdmtest.Audit{Lost: []string{"b"}}},
		{"deferred for ever", end("a?", "b", "c", "a?"), mdmtest.Audit{Lost: []string{"a"}}},
		{"one twice", end("a", "b", "b", "c"), mdmtest.Audit{Doubled: []string{"b"}}},
		{"turned round", end("a", "c", "b"), mdmtest.Audit{Disordered: []string{"b"}}},
		{"from nowhere", end("a", "x", "b", "c"), mdmtest.Audit{Unasked: []string{"x"}}},
	} {
		got := mdmtest.Check([]string{"a", "b", "c"}, c.delivered)
		if !reflect.DeepEqual(got, c.want) || (got.Err() == nil) != reflect.DeepEqual(c.want, mdmtest.Audit{}) {
			t.Errorf("%s: %+v, %v", c.name, got, got.Err())
		}
	}
}

// load plays 30 devices to the server.
func load(t *testing.T, s *server, habits mdmtest.Habits) *mdmtest.Load {
	watch := &mdmtest.Stopwatch{}
	wire := watch.Around(s.wire())
	devices, err := mdmtest.Fleet{Size: 30, Seed: 11, Server: mdmtest.ServerAt("http://mdm.example.com"), Wire: wire, Habits: habits}.Make()
	if err != nil {
		t.Fatal(err)
	}
	return &mdmtest.Load{
		Devices: devices, Concurrency: 8, Watch: watch,
		Orderer: &mdmtest.Orderer{URL: "http://mdm.example.com", Token: "secret", Wire: wire},
	}
}

func TestLoadAccountsForEveryCommand(t *testing.T) {
	s := newServer(t)
	l := load(t, s, mdmtest.Habits{NotNow: 0.3, Error: 0.1, FormatError: 0.05})
	for _, p := range []mdmtest.Phase{l.Enrol(t.Context()), l.Idle(t.Context()), l.Order(t.Context(), 7), l.Answer(t.Context())} {
		if p.Failed != 0 || p.Errors != 0 || p.Requests < 30 || p.P99 < p.P50 {
			t.Errorf("%+v", p)
		}
		if p.Name == "command" && p.Commands != 210 {
			t.Errorf("%d commands came to an end", p.Commands)
		}
	}
	if err := l.Audit().Err(); err != nil {
		t.Error(err)
	}
	if n := l.Outcomes(); n["NotNow"] == 0 || n["Error"] == 0 || n["CommandFormatError"] == 0 || n["Acknowledged"] < 100 {
		t.Errorf("outcomes %v", n)
	}
}

func TestLoadNoticesWhatIsLost(t *testing.T) {
	s := newServer(t)
	l := load(t, s, mdmtest.Habits{})
	l.Enrol(t.Context())
	l.Order(t.Context(), 3)
	for channel, queue := range s.queues {
		s.queues[channel] = queue[1:] // the server forgets the first
	}
	if p := l.Answer(t.Context()); p.Failed != 30 || len(l.Audit().Lost) != 30 {
		t.Errorf("%d devices failed, audit %v", p.Failed, l.Audit().Err())
	}
}

func TestLoadCountsRefusals(t *testing.T) {
	s := newServer(t)
	s.spoil = func(w http.ResponseWriter, _ message) bool { w.WriteHeader(http.StatusBadRequest); return true }
	p := load(t, s, mdmtest.Habits{}).Enrol(t.Context())
	if p.Failed != 30 || p.Errors != 30 || !strings.Contains(p.First, "400") {
		t.Errorf("%+v", p)
	}
}

func TestOrdererWithAWrongToken(t *testing.T) {
	o := &mdmtest.Orderer{URL: "http://mdm.example.com", Token: "wrong", Wire: newServer(t).wire()}
	if _, err := o.Order(t.Context(), "X", mdmtest.Inventory[1]); err == nil {
		t.Error("the order was taken")
	}
}

package assign

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A yard is a log with views, a Keeper that works when it is told to, and a clock that the test moves.
type yard struct {
	testing.TB
	log     eventstore.Log
	views   *projections.Views
	devices *eventstore.Repository[device.Device, domain.Event]
	groups  *handlers.Groups
	wants   *handlers.Wants
	keeper  *Keeper
	keys    seal.Keyring
	mu      sync.Mutex
	now     time.Time
}

var ada = handlers.Caller{ID: "t", Name: "Ada", Role: operator.Administrator}

func (y *yard) clock() time.Time {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.now
}

func (y *yard) pass(d time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.now = y.now.Add(d)
}

func newYard(t testing.TB) *yard {
	y := &yard{TB: t, now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	dir := t.TempDir()
	master, err := seal.OpenMasterKey(filepath.Join(dir, "master.key"))
	y.check(err)
	keys, err := seal.OpenKeyring(filepath.Join(dir, "keys"), master, 0)
	y.check(err)
	log, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	y.check(err)
	y.log = log
	y.keys = keys
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: keys, Upcasts: catalog.Upcasts()}
	y.views, err = projections.Open(t.Context(), filepath.Join(dir, "views.db"), projections.Options{})
	y.check(err)
	y.devices = &eventstore.Repository[device.Device, domain.Event]{Log: log, Codec: codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size, Now: y.clock}
	things := &eventstore.Repository[wanted.Thing, domain.Event]{Log: log, Codec: codec, Kind: wanted.Kind, Fold: wanted.Thing.Evolve, Now: y.clock}
	y.groups = &handlers.Groups{Groups: &eventstore.Repository[group.Group, domain.Event]{Log: log, Codec: codec, Kind: group.Kind, Fold: group.Group.Evolve, Size: group.Size, Now: y.clock}}
	library := &handlers.Library{Things: things, Views: y.views, Stamp: stamp,
		Profiles: &eventstore.Repository[profile.Kept, domain.Event]{Log: log, Codec: codec, Kind: profile.Kind, Fold: profile.Kept.Evolve, Now: y.clock}}
	y.wants = &handlers.Wants{Things: things, Devices: y.devices, Stamp: stamp, Library: library}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- y.views.Run(ctx, log, codec.Views()) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, c := range []interface{ Close() error }{y.views, log, keys} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	y.restart()
	return y
}

// restart puts a new Keeper in the place of the old one, which has forgotten everything.
func (y *yard) restart() {
	y.keeper = &Keeper{Log: y.log, Views: y.views, Devices: y.devices, Things: y.wants.Things, Library: y.wants.Library, Now: y.clock}
	y.check(y.keeper.prepare(y.Context()))
}

func (y *yard) check(err error) {
	y.Helper()
	if err != nil {
		y.Fatal(err)
	}
}

// settle lets the Keeper work until it finds nothing more to do.
func (y *yard) settle() {
	y.Helper()
	for range 20 {
		head, err := y.log.Head(y.Context())
		y.check(err)
		y.check(y.views.Wait(y.Context(), head))
		y.check(y.keeper.round(y.Context(), head))
		if after, err := y.log.Head(y.Context()); err == nil && after == head {
			return
		}
	}
	y.Fatal("the Keeper does not come to an end")
}

func (y *yard) does(id string, do func(device.Device, time.Time) ([]domain.Event, error)) []domain.Event {
	y.Helper()
	change, err := y.devices.Update(y.Context(), id, eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: id}}, do)
	y.check(err)
	return change.Events
}

// enrols lets a device enrol; awaits says whether it waits in Setup Assistant.
func (y *yard) enrols(id string, awaits bool) {
	y.Helper()
	y.does(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: "UDID-" + id, SerialNumber: "S-" + id}, Topic: "topic", OSVersion: "18.1", ProductName: "iPad13,4"}, at)
	})
	y.tokens(id, "", awaits)
}

func (y *yard) tokens(id string, channel device.ChannelID, awaits bool) {
	y.Helper()
	y.does(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
		m := device.TokenUpdate{Channel: channel, Topic: "topic", Token: []byte("t"), PushMagic: "m", AwaitingConfiguration: &awaits}
		if channel != "" {
			m.User = device.User{UserID: "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", UserShortName: string(channel)}
		}
		return d.UpdateToken(m, at)
	})
}

// Answers of a device: by request type, or what it says to all else.
type answers map[string]device.Report

var fine = device.Report{Status: device.Acknowledged}

// connects lets a channel fetch and answer all that waits for it, and returns what that was.
func (y *yard) connects(id string, channel device.ChannelID, answer answers) string {
	y.Helper()
	report, fetched := device.Report{Channel: channel, Status: device.Idle}, []string{}
	for range 20 {
		var handed device.CommandDelivered
		for _, e := range y.does(id, func(d device.Device, at time.Time) ([]domain.Event, error) { return d.Connect(report, at) }) {
			if e, is := e.(device.CommandDelivered); is {
				handed = e
			}
		}
		if handed.UUID == "" {
			return strings.Join(fetched, " ")
		}
		fetched = append(fetched, handed.RequestType)
		said, some := answer[handed.RequestType]
		if !some {
			said = fine
		}
		report = said
		report.Channel, report.UUID = channel, handed.UUID
	}
	y.Fatal("the device is never done")
	return ""
}

// calls settles, lets the device connect, and checks what it was handed.
func (y *yard) calls(id, want string, answer answers) {
	y.Helper()
	y.settle()
	if got := y.connects(id, "", answer); got != want {
		y.Fatalf("it was handed %q, want %q", got, want)
	}
	y.settle()
}

// stands checks where a thing stands on a device.
func (y *yard) stands(id, thing, want string) projections.Standing {
	y.Helper()
	y.settle()
	all, err := y.views.Standings(y.Context(), id, "", projections.Now, y.clock())
	y.check(err)
	for _, s := range all.Things {
		if s.Thing == thing {
			if s.State != want {
				y.Fatalf("%s is %s (%s), want %s", thing, s.State, s.Because, want)
			}
			return s
		}
	}
	if want != "" {
		y.Fatalf("%s is not wanted", thing)
	}
	return projections.Standing{}
}

func (y *yard) group(devices ...string) {
	y.Helper()
	_, err := y.groups.Create(y.Context(), ada, "labs", group.Definition{Name: "Labs"})
	y.check(err)
	_, err = y.groups.Add(y.Context(), ada, "labs", devices)
	y.check(err)
}

func (y *yard) profile(name, uuid string) string {
	y.Helper()
	id, _, err := y.wants.PutProfile(y.Context(), ada, fmt.Appendf(nil, `<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string>
		<key>PayloadIdentifier</key><string>%s</string><key>PayloadUUID</key><string>%s</string></dict></plist>`, name, uuid))
	y.check(err)
	return id
}

func (y *yard) assign(id string, first bool) {
	y.Helper()
	_, err := y.wants.Assign(y.Context(), ada, id, wanted.Assignment{Group: "labs", First: first})
	y.check(err)
}

func has(list string) device.Report {
	var entries []string
	for _, one := range strings.Fields(list) {
		name, uuid, _ := strings.Cut(one, "=")
		entries = append(entries, fmt.Sprintf(`{"PayloadIdentifier":%q,"PayloadUUID":%q,"IsManaged":true}`, name, uuid))
	}
	return device.Report{Status: device.Acknowledged, Result: []byte(`{"ProfileList":[` + strings.Join(entries, ",") + `]}`)}
}

func apps(status string) device.Report {
	return device.Report{Status: device.Acknowledged, Result: []byte(`{"ManagedApplicationList":{"com.app":{"Status":"` + status + `","ManagementFlags":1}}}`)}
}

var no = device.Report{Status: device.Error, ErrorChain: []byte(`[{"ErrorCode":1,"USEnglishDescription":"no room"}]`)}

func TestProfilesAreBroughtVerifiedAndTakenAway(t *testing.T) {
	y := newYard(t)
	y.enrols("d", false)
	y.calls("d", "", nil) // nothing is wanted
	y.group("d")
	wifi := y.profile("wifi", "U1")
	y.calls("d", "", nil) // of nobody
	y.assign(wifi, false)
	y.stands("d", wifi, projections.StandsOrdered)
	y.restart() // orders nothing twice
	y.calls("d", "InstallProfile", nil)
	y.stands("d", wifi, projections.StandsInstalled) // acknowledged is not verified
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=U1")})
	y.stands("d", wifi, projections.StandsVerified)
	y.restart()
	y.calls("d", "", nil)
	y.profile("wifi", "U2") // another edition
	y.calls("d", "InstallProfile", nil)
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=U2")})
	y.stands("d", wifi, projections.StandsVerified)
	_, err := y.wants.Withdraw(t.Context(), ada, wifi, "")
	y.check(err)
	y.stands("d", wifi, projections.StandsRemoving)
	y.calls("d", "RemoveProfile", nil)
	y.stands("d", wifi, "")
	y.calls("d", "", nil)
}

func TestTheBaseComesFirstAndSetupAssistantGoesOn(t *testing.T) {
	y := newYard(t)
	y.group("d")
	base, wifi := y.profile("base", "B"), y.profile("a-wifi", "W")
	y.assign(base, true)
	y.assign(wifi, false)
	y.enrols("d", true)
	y.calls("d", "InstallProfile", nil)
	y.calls("d", "DeviceConfigured InstallProfile", nil)
	y.calls("d", "ProfileList", answers{"ProfileList": has("base=B a-wifi=W")})
	y.calls("d", "", nil)
}

func TestSetupAssistantGoesOnWhateverHappens(t *testing.T) {
	t.Run("nothing is wanted", func(t *testing.T) {
		y := newYard(t)
		y.enrols("d", true)
		y.calls("d", "DeviceConfigured", nil)
		y.calls("d", "", nil)
	})
	t.Run("the base fails", func(t *testing.T) {
		y := newYard(t)
		y.group("d")
		base := y.profile("base", "B")
		y.assign(base, true)
		y.enrols("d", true)
		y.calls("d", "InstallProfile", answers{"InstallProfile": no})
		y.stands("d", base, projections.StandsFailed)
		y.calls("d", "DeviceConfigured", nil)
	})
	t.Run("the base takes too long", func(t *testing.T) {
		y := newYard(t)
		y.group("d")
		y.assign(y.profile("base", "B"), true)
		y.enrols("d", true)
		y.calls("d", "InstallProfile", answers{"InstallProfile": {Status: device.NotNow}})
		y.pass(9 * time.Minute)
		y.settle()
		y.pass(2 * time.Minute)
		y.calls("d", "DeviceConfigured InstallProfile", nil)
	})
	t.Run("the device asks again, and again", func(t *testing.T) {
		y := newYard(t)
		y.enrols("d", true)
		n := 0
		for range 40 {
			y.settle()
			n += strings.Count(y.connects("d", "", nil), "DeviceConfigured")
			y.tokens("d", "", true)
		}
		if n != 1 {
			t.Errorf("within a moment it was told %d times", n)
		}
		for range 40 {
			y.pass(25 * time.Hour)
			y.settle()
			n += strings.Count(y.connects("d", "", nil), "DeviceConfigured")
			y.tokens("d", "", true)
		}
		if n != 10 {
			t.Errorf("it was told %d times in 40 days, want 10", n)
		}
	})
	t.Run("a user of a Shared iPad", func(t *testing.T) {
		y := newYard(t)
		y.enrols("d", false)
		y.tokens("d", "anna", true)
		y.settle()
		if got := y.connects("d", "anna", nil); got != "UserConfigured" {
			t.Errorf("she was handed %q", got)
		}
		y.settle()
		if got := y.connects("d", "anna", nil); got != "" {
			t.Errorf("and then %q", got)
		}
	})
}

func TestWhatFailsIsTriedAgainLaterAndThenHeld(t *testing.T) {
	y := newYard(t)
	y.enrols("d", false)
	y.group("d")
	wifi := y.profile("wifi", "U1")
	y.assign(wifi, false)
	n := 0
	for range 60 {
		y.settle()
		n += strings.Count(y.connects("d", "", answers{"InstallProfile": no}), "InstallProfile")
		y.pass(30 * time.Minute)
	}
	s := y.stands("d", wifi, projections.StandsFailed)
	if n != 5 || !s.Held || s.Because != "no room" {
		t.Fatalf("it was tried %d times; %+v", n, s)
	}
	_, err := y.wants.Retry(t.Context(), ada, "d", "", wifi, "there is room")
	y.check(err)
	y.calls("d", "InstallProfile", nil)
	y.stands("d", wifi, projections.StandsInstalled)
}

func TestDriftIsSeenAndMended(t *testing.T) {
	y := newYard(t)
	y.enrols("d", false)
	y.group("d")
	wifi := y.profile("wifi", "U1")
	y.assign(wifi, false)
	y.calls("d", "InstallProfile", nil)
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=U1")})
	y.pass(26 * time.Hour)
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=other")})
	y.calls("d", "InstallProfile", nil)
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=U1")})
	y.stands("d", wifi, projections.StandsVerified)
	n := 0
	for range 200 { // somebody takes it away, again and again
		y.settle()
		n += strings.Count(y.connects("d", "", answers{"ProfileList": has("")}), "InstallProfile")
		y.pass(time.Hour)
	}
	if s := y.stands("d", wifi, projections.StandsMissing); !s.Held || n > 10 {
		t.Errorf("it was mended %d times: %+v", n, s)
	}
}

func TestAppsAreBroughtAndMended(t *testing.T) {
	y := newYard(t)
	y.enrols("d", false)
	y.group("d")
	app, _, err := y.wants.PutApp(t.Context(), ada, "com.app", "InstallApplication", map[string]any{"Identifier": "com.app", "ManagementFlags": 1})
	y.check(err)
	y.assign(app, false)
	y.calls("d", "InstallApplication", nil)
	y.calls("d", "ManagedApplicationList", answers{"ManagedApplicationList": apps("Installing")})
	y.stands("d", app, projections.StandsInstalled)
	y.calls("d", "", nil)
	y.pass(6 * time.Minute)
	y.calls("d", "ManagedApplicationList", answers{"ManagedApplicationList": apps("Managed")})
	y.stands("d", app, projections.StandsVerified)
	y.pass(26 * time.Hour)
	y.calls("d", "ManagedApplicationList", answers{"ManagedApplicationList": apps("ManagedButUninstalled")})
	y.calls("d", "InstallApplication", nil)
}

func TestInventoriesAreSpreadAndNeverPileUp(t *testing.T) {
	y := newYard(t)
	var ids []string
	for i := range 24 {
		ids = append(ids, fmt.Sprintf("d%d", i))
		y.enrols(ids[i], false)
	}
	y.group(ids...)
	y.pass(time.Minute)
	daily, _, err := y.wants.PutInventory(t.Context(), ada, "daily", 24*time.Hour, []wanted.Step{
		{RequestType: "DeviceInformation", Parameters: map[string]any{"Queries": []any{"OSVersion"}}}, {RequestType: "SecurityInfo"}})
	y.check(err)
	y.assign(daily, false)
	asked, most := map[string]int{}, 0
	for range 25 { // each hour of a day
		y.settle()
		now := 0
		for _, id := range ids {
			if got := y.connects(id, "", nil); got == "DeviceInformation SecurityInfo" {
				asked[id]++
				now++
			} else if got != "" {
				t.Fatalf("%s was handed %q", id, got)
			}
		}
		most = max(most, now)
		y.pass(time.Hour)
	}
	if len(asked) != len(ids) || most > len(ids)/3 {
		t.Errorf("%d of %d were asked, %d within an hour", len(asked), len(ids), most)
	}
	for range 10 { // nobody calls any more
		y.pass(24 * time.Hour)
		y.settle()
	}
	d, _, err := y.devices.Load(t.Context(), "d0")
	y.check(err)
	if c, _ := d.Channel(""); len(c.Queue) != 2 {
		t.Errorf("%d commands wait, want 2", len(c.Queue))
	}
}

func TestWhatADeviceWouldRefuseIsSaidOnce(t *testing.T) {
	y := newYard(t)
	y.does("d", func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: "U"}, Topic: "topic", OSVersion: "18.1", ProductName: "iPad13,4", AccessRights: 1}, at)
	})
	y.tokens("d", "", false)
	y.group("d")
	wifi := y.profile("wifi", "U1")
	y.assign(wifi, false)
	s := y.stands("d", wifi, projections.StandsFailed)
	before, err := y.log.Head(t.Context())
	y.check(err)
	if !strings.Contains(s.Because, "access right") {
		t.Errorf("because %q", s.Because)
	}
	for range 5 {
		y.pass(2 * time.Hour)
		y.settle()
	}
	if after, err := y.log.Head(t.Context()); err != nil || after != before {
		t.Errorf("%d events more, %v", after-before, err)
	}
}

func TestADeviceThatCannotBeBroughtThereHoldsUpNoOther(t *testing.T) {
	y := newYard(t)
	y.enrols("a", false)
	y.enrols("b", false)
	y.group("a")
	_, err := y.groups.Create(t.Context(), ada, "others", group.Definition{Name: "Others"})
	y.check(err)
	_, err = y.groups.Add(t.Context(), ada, "others", []string{"b"})
	y.check(err)
	const odd = "app/com.example.odd"
	_, err = y.wants.Things.Update(t.Context(), odd, eventstore.Meta{}, func(thing wanted.Thing, _ time.Time) ([]domain.Event, error) {
		return thing.Put(odd, wanted.Content{Steps: []wanted.Step{{RequestType: "NoCommandOfApples"}}}, stamp)
	})
	y.check(err)
	y.assign(odd, false)
	wifi := y.profile("wifi", "U1")
	_, err = y.wants.Assign(t.Context(), ada, wifi, wanted.Assignment{Group: "others"})
	y.check(err)
	y.calls("b", "InstallProfile", nil)
	y.calls("a", "", nil)
	if at := y.keeper.next["a"]; !at.After(y.clock()) {
		t.Errorf("the other is looked at again at %v", at)
	}
}

// stamp makes revisions.
var stamp = seal.NewPseudonyms([32]byte{1}).Stamp

// keeps puts a version of a profile into the library.
func (y *yard) keeps(name, uuid, text string) {
	y.Helper()
	_, _, err := y.wants.Library.Put(y.Context(), ada, fmt.Appendf(nil, `<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
		<key>PayloadIdentifier</key><string>%s</string><key>PayloadUUID</key><string>%s</string><key>PayloadDescription</key><string>%s</string>
		<key>PayloadContent</key><array/></dict></plist>`, name, uuid, text), false)
	y.check(err)
}

func (y *yard) wantsVersion(name, version string) string {
	y.Helper()
	id, _, err := y.wants.PutVersion(y.Context(), ada, name, version)
	y.check(err)
	return id
}

func TestTheLatestOfTheLibraryIsFollowed(t *testing.T) {
	y := newYard(t)
	y.enrols("d", false)
	y.group("d")
	y.keeps("wifi", "U1", "")
	wifi := y.wantsVersion("wifi", "latest")
	y.assign(wifi, false)
	y.calls("d", "InstallProfile", nil)
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=U1")})
	y.stands("d", wifi, projections.StandsVerified)
	y.keeps("wifi", "U2", "") // and it is wanted
	y.calls("d", "InstallProfile", nil)
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=U2")})
	y.stands("d", wifi, projections.StandsVerified)
	y.restart()
	y.calls("d", "", nil)
	if y.wantsVersion("wifi", "latest"); y.connects("d", "", nil) != "" {
		t.Error("the same again is news")
	}
	y.wantsVersion("wifi", "1") // back
	y.calls("d", "InstallProfile", nil)
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=U1")})
	y.stands("d", wifi, projections.StandsVerified)
	y.keeps("wifi", "U3", "") // which is not wanted
	y.calls("d", "", nil)
	y.wantsVersion("wifi", "latest")
	y.calls("d", "InstallProfile", nil)
	y.calls("d", "ProfileList", answers{"ProfileList": has("wifi=U3")})
	if _, err := y.wants.Library.Withdraw(t.Context(), ada, "wifi", ""); err == nil {
		t.Error("a profile that devices are to have is withdrawn from the library")
	}
	_, err := y.wants.Withdraw(t.Context(), ada, wifi, "")
	y.check(err)
	y.calls("d", "RemoveProfile", nil)
	_, err = y.wants.Library.Withdraw(t.Context(), ada, "wifi", "")
	y.check(err)
}

// payload returns the profile in the first InstallProfile that waits for a device.
func (y *yard) payload(id string) string {
	y.Helper()
	y.settle()
	d, _, err := y.devices.Load(y.Context(), id)
	y.check(err)
	c, _ := d.Channel("")
	for _, item := range c.Queue {
		if item.RequestType == "InstallProfile" {
			_, after, _ := strings.Cut(string(item.Body), "<data>")
			data, _, _ := strings.Cut(after, "</data>")
			text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
			y.check(err)
			return string(text)
		}
	}
	y.Fatal("no profile waits")
	return ""
}

func TestVariablesAreFilledForEachDevice(t *testing.T) {
	y := newYard(t)
	y.enrols("a", false)
	y.enrols("b", false)
	y.group("a", "b")
	y.keeps("serial", "U1", "of %SerialNumber%")
	y.assign(y.wantsVersion("serial", "latest"), false)
	for _, id := range []string{"a", "b"} {
		if got := y.payload(id); !strings.Contains(got, "<string>of S-"+id+"</string>") {
			t.Errorf("%s is handed %s", id, got)
		}
	}
}

func TestAProfileWaitsForWhatItIsFilledWith(t *testing.T) {
	y := newYard(t)
	y.enrols("a", false)
	y.group("a")
	y.keeps("user", "U1", "of %short_name%")
	user := y.wantsVersion("user", "latest")
	y.assign(user, false)
	if s := y.stands("a", user, projections.StandsFailed); !strings.Contains(s.Because, "%short_name%") {
		t.Errorf("it is held back because %s", s.Because)
	}
	y.calls("a", "", nil)
	y.tokens("a", "ada", false)
	y.pass(61 * time.Minute)
	if got := y.payload("a"); !strings.Contains(got, "<string>of ada</string>") {
		t.Errorf("it is handed %s", got)
	}
}

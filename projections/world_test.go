package projections

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/escrow"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// A world makes histories as the real aggregates would write them, at a whim.
type world struct {
	*history
	devices map[string]device.Device
	groups  map[string]group.Group

	declarations map[string]declaration.Declaration
	bulks        map[string]bulk.Order
	things       map[string]wanted.Thing
	library      map[string]profile.Kept

	certified  map[string]bool // keys for push certificates that were asked for
	identities                 // what is known of certificates

	clock  time.Time
	orders int
	rarest int // 6 if devices and users are erased too
}

func newWorld() *world {
	return &world{history: newHistory(), devices: map[string]device.Device{}, groups: map[string]group.Group{}, declarations: map[string]declaration.Declaration{}, things: map[string]wanted.Thing{}, library: map[string]profile.Kept{}, bulks: map[string]bulk.Order{}, certified: map[string]bool{}, clock: noon, rarest: 5}
}

var worldTypes = []string{
	"DeviceInformation", "SecurityInfo", "InstalledApplicationList", "ProfileList", "ManagedApplicationList",
	"UserList", "Restrictions", "DeviceConfigured", "DeviceLock", "SetRecoveryLock", "SetFirmwarePassword", "VerifyRecoveryLock",
	"AvailableOSUpdates", "ScheduleOSUpdate", "OSUpdateStatus",
	"InstallProfile", "InstallProfile", "RemoveProfile", "ProfileList", "CertificateList",
	"InstallApplication", "RemoveApplication", "ManagedApplicationList", "InstallMedia", "ManagedApplicationFeedback",
	"EnableLostMode", "DeviceLocation", "DeviceLocation",
}

// things gives an order that brings something what it brings.
func things(t *rapid.T, o device.Order) device.Order {
	n := rapid.IntRange(1, 3).Draw(t, "thing")
	switch o.RequestType {
	case "InstallProfile":
		o.Brings = device.Thing{Identifier: fmt.Sprintf("profile%d", n), UUID: rapid.SampledFrom([]string{"p1", "p2"}).Draw(t, "edition"), Revision: "r", Locked: n == 1}
		if n > 1 {
			der, _ := base64.StdEncoding.DecodeString(fmt.Sprintf("Y2VydD%d=", n)) // as worldResult lists it
			sum := sha256.Sum256(der)
			o.Brings.Certificates = []string{hex.EncodeToString(sum[:])}
		}
	case "RemoveProfile":
		o.Parameters = json.RawMessage(fmt.Sprintf(`{"Identifier":"profile%d"}`, n))
	case "InstallApplication":
		o.Parameters = json.RawMessage(fmt.Sprintf(`{"Identifier":"app%d","ManagementFlags":%d}`, n, n%2))
	case "RemoveApplication":
		o.Parameters = json.RawMessage(fmt.Sprintf(`{"Identifier":"app%d"}`, n))
	case "InstallMedia":
		o.Parameters = json.RawMessage(`{"iTunesStoreID":7,"MediaType":"Book"}`)
	}
	return o
}

// live lets something happen, some of it impossible, which then does not.
func (w *world) live(t *rapid.T) {
	w.clock = w.clock.Add(time.Duration(rapid.IntRange(-5, 3600).Draw(t, "seconds")) * time.Second)
	id := fmt.Sprintf("d%d", rapid.IntRange(1, 3).Draw(t, "device"))
	channel := device.ChannelID(rapid.SampledFrom([]string{"", "", "", "anna"}).Draw(t, "channel"))
	d := w.devices[id]
	acts := []func() ([]domain.Event, error){
		func() ([]domain.Event, error) { return d.Authenticate(w.authenticate(t, id), w.clock) },
		func() ([]domain.Event, error) { return d.UpdateToken(w.token(t, channel), w.clock) },
		func() ([]domain.Event, error) { return d.UpdateToken(w.token(t, channel), w.clock) },
		func() ([]domain.Event, error) { return w.order(t, d, channel) },
		func() ([]domain.Event, error) { return w.order(t, d, channel) },
		func() ([]domain.Event, error) { return w.session(t, d, channel) },
		func() ([]domain.Event, error) { return w.session(t, d, channel) },
		func() ([]domain.Event, error) { return w.session(t, d, channel) },
		func() ([]domain.Event, error) { return d.RequestPush(channel, "asked") },
		func() ([]domain.Event, error) { return d.RecordPush(w.push(t, d, channel)) },
		func() ([]domain.Event, error) { return w.rare(t, d) },
		func() ([]domain.Event, error) { return w.hold(t, d, channel) },
		func() ([]domain.Event, error) { return nil, w.regroup(t) },
		func() ([]domain.Event, error) { return nil, w.declare(t) },
		func() ([]domain.Event, error) { return nil, w.orderMany(t) },
		func() ([]domain.Event, error) { return w.declares(t, d, channel) },
		func() ([]domain.Event, error) { return nil, w.certify(t) },
	}
	act := evenly(t, len(acts), "act")
	if enrols := d.Status != device.StatusEnrolled; enrols && act > 2 && rapid.Bool().Draw(t, "enrols") {
		act %= 3
	} else if !enrols && act == 0 && evenly(t, 4, "anew") > 0 {
		act = 3
	}
	events, err := acts[act]()
	if err != nil {
		return
	}
	by := ada
	if act != 3 && act != 4 && act != 8 && act != 11 && act != 13 && act != 14 && act != 16 {
		by = eventstore.Actor{Kind: eventstore.ByDevice, ID: id}
	}
	w.by(by, eventstore.Stream{Kind: device.Kind, ID: id}, w.clock, events...)
	d = w.devices[id] // an order to many may have reached it
	for _, e := range events {
		d = d.Evolve(e, w.clock)
	}
	w.devices[id] = d
}

// evenly draws a number below n, each as likely as the others: an IntRange prefers small ones, and a life of nothing but
// Authenticate shows little.
func evenly(t *rapid.T, n int, label string) (drawn int) {
	for bit := 1; bit < 4*n; bit *= 2 {
		drawn *= 2
		if rapid.Bool().Draw(t, label) {
			drawn++
		}
	}
	return drawn % n
}

func (w *world) authenticate(t *rapid.T, id string) device.Authenticate {
	return device.Authenticate{
		Identity: device.Identity{UDID: "UDID-" + id, SerialNumber: "S" + id, DeviceName: rapid.SampledFrom([]string{"", "Ü", "iPad"}).Draw(t, "name")},
		Topic:    "topic", OSVersion: rapid.SampledFrom([]string{"17.1", "17.10", "18"}).Draw(t, "os"),
		ProductName: rapid.SampledFrom([]string{"iPad13,4", "Mac14,2"}).Draw(t, "product"),
		Certificate: device.Certificate{Fingerprint: rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "certificate") + id},
		Road:        "profile", Person: domain.Person{Account: rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(t, "who brings it")},
		Attested: rapid.SampledFrom([]*device.Attested{nil, {Attestation: domain.Attestation{Root: "r1", SerialMark: "m", OSVersion: "18"}, Serial: true}}).Draw(t, "attested"),
	}
}

func (w *world) token(t *rapid.T, channel device.ChannelID) device.TokenUpdate {
	m := device.TokenUpdate{Channel: channel, Topic: "topic", Token: []byte(rapid.StringMatching("[ab]").Draw(t, "token")), PushMagic: "m"}
	if channel != "" {
		m.User = device.User{UserID: "U-" + string(channel), UserShortName: rapid.SampledFrom([]string{"", "anna"}).Draw(t, "short")}
	}
	if rapid.Bool().Draw(t, "says awaiting") {
		m.AwaitingConfiguration = new(rapid.Bool().Draw(t, "awaiting"))
	}
	return m
}

func (w *world) order(t *rapid.T, d device.Device, channel device.ChannelID) ([]domain.Event, error) {
	w.orders++
	o := device.Order{
		UUID: fmt.Sprintf("u%d", w.orders), RequestType: worldTypes[evenly(t, len(worldTypes), "type")], Body: []byte("body"),
		Reason:   rapid.SampledFrom([]string{"", "asked for"}).Draw(t, "reason"),
		Priority: rapid.IntRange(0, 2).Draw(t, "priority"), SupersedeKey: rapid.SampledFrom([]string{"", "", "k"}).Draw(t, "key"),
	}
	if rapid.IntRange(0, 5).Draw(t, "later") == 0 {
		o.NotBefore = w.clock.Add(time.Hour)
	}
	if rapid.IntRange(0, 5).Draw(t, "expires") == 0 {
		o.ExpiresAt = w.clock.Add(2 * time.Hour)
	}
	o.PassesHold = rapid.IntRange(0, 3).Draw(t, "passes") == 0
	if rapid.IntRange(0, 3).Draw(t, "partial") == 0 {
		o.Parameters = json.RawMessage(rapid.SampledFrom([]string{`{"ManagedAppsOnly":true}`, `{"Items":["Name"]}`}).Draw(t, "parameters"))
	}
	if strings.Contains(o.RequestType, "Password") || strings.Contains(o.RequestType, "Recovery") {
		o.Password = rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "password")
		o.Clears, o.Raw = o.Password == "", true
		o.Parameters = json.RawMessage(`{"NewPassword":"•••","Password":"•••"}`)
	}
	return d.Order(channel, things(t, o), rapid.Bool().Draw(t, "nopush"), w.clock)
}

// hold lets somebody hold or release a queue or a command.
func (w *world) hold(t *rapid.T, d device.Device, channel device.ChannelID) ([]domain.Event, error) {
	reason := rapid.SampledFrom([]string{"ticket 1", "ticket 2"}).Draw(t, "hold's reason")
	uuid := "none"
	if c, _ := d.Channel(channel); len(c.Queue) > 0 {
		uuid = rapid.SampledFrom(c.Queue).Draw(t, "which").UUID
	}
	switch rapid.IntRange(0, 3).Draw(t, "hold") {
	case 0:
		return d.HoldQueue(channel, reason)
	case 1:
		return d.ReleaseQueue(channel, reason)
	case 2:
		return d.HoldCommand(uuid, reason)
	}
	return d.ReleaseCommand(uuid, reason)
}

// session lets a device connect some times, so that it answers what it is given.
func (w *world) session(t *rapid.T, d device.Device, channel device.ChannelID) (all []domain.Event, err error) {
	for range 1 + evenly(t, 4, "connects") {
		events, err := w.connect(t, d, channel)
		if err != nil {
			return all, err
		}
		for _, e := range events {
			d = d.Evolve(e, w.clock)
		}
		all = append(all, events...)
	}
	return all, nil
}

func (w *world) connect(t *rapid.T, d device.Device, channel device.ChannelID) ([]domain.Event, error) {
	r := device.Report{Channel: channel, Status: device.Idle}
	c, _ := d.Channel(channel)
	var out []*device.Item
	for _, item := range c.Queue {
		if item.Out {
			out = append(out, item)
		}
	}
	if len(out) > 0 {
		item := rapid.SampledFrom(out).Draw(t, "speaks of")
		r.UUID = item.UUID
		r.Status = rapid.SampledFrom([]string{device.Acknowledged, device.Acknowledged, device.Acknowledged, device.NotNow,
			device.Error, device.CommandFormatError, device.Idle, "Strange"}).Draw(t, "status")
		if r.Status == device.Idle {
			r.UUID = ""
		}
		r.Result = worldResult(t, item.RequestType)
		if item.RequestType == "SecurityInfo" && rapid.Bool().Draw(t, "recovery key") {
			r.Secrets = map[string]json.RawMessage{"SecurityInfo.FDE_PersonalRecoveryKeyCMS": json.RawMessage(rapid.SampledFrom([]string{`"AAAA"`, `"BBBB"`}).Draw(t, "key"))}
		}
		if item.RequestType == "DeviceLocation" || rapid.IntRange(0, 7).Draw(t, "tells where it is") == 7 {
			r.Secrets = map[string]json.RawMessage{"Latitude": json.RawMessage("51.5"), "Longitude": json.RawMessage("-0.1")}
		}
	}
	return d.Connect(r, w.clock)
}

func worldResult(t *rapid.T, requestType string) json.RawMessage {
	version := func() string { return rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "version") }
	switch requestType {
	case "DeviceInformation":
		return json.RawMessage(fmt.Sprintf(`{"QueryResponses":{"OSVersion":"17.%s","BatteryLevel":0.%s,"IsSupervised":%t}}`,
			version(), version(), rapid.Bool().Draw(t, "supervised")))
	case "SecurityInfo":
		return json.RawMessage(fmt.Sprintf(`{"SecurityInfo":{"FDE_Enabled":%t,"ManagementStatus":{"UserApprovedEnrollment":%t}}}`,
			rapid.Bool().Draw(t, "fde"), rapid.Bool().Draw(t, "approved")))
	case "InstalledApplicationList":
		return json.RawMessage(`{"InstalledApplicationList":[` + worldList(t, `{"Identifier":"app%d","Version":"%s","Name":"A long name, so that the value is no short one"}`) + `]}`)
	case "ProfileList":
		return json.RawMessage(`{"ProfileList":[` + worldList(t, `{"PayloadIdentifier":"profile%d","PayloadUUID":"p%s"`+rapid.SampledFrom([]string{"", `,"IsManaged":true`, `,"IsManaged":false`}).Draw(t, "is managed")+`}`) + `]}`)
	case "SetFirmwarePassword":
		return json.RawMessage(fmt.Sprintf(`{"SetFirmwarePassword":{"PasswordChanged":%t}}`, rapid.Bool().Draw(t, "changed")))
	case "AvailableOSUpdates":
		return json.RawMessage(`{"AvailableOSUpdates":[` + worldList(t, `{"ProductKey":"p%d","Version":"%s"}`) + `]}`)
	case "ScheduleOSUpdate":
		return json.RawMessage(`{"UpdateResults":[` + worldList(t, `{"ProductKey":"p%d","InstallAction":"InstallASAP","Status":"Idle%s"}`) + `]}`)
	case "OSUpdateStatus":
		return json.RawMessage(`{"OSUpdateStatus":[` + worldList(t, `{"ProductKey":"p%d","Status":"Downloading","DownloadPercentComplete":0.%s}`) + `]}`)
	case "VerifyRecoveryLock":
		return json.RawMessage(fmt.Sprintf(`{"PasswordVerified":%t}`, rapid.Bool().Draw(t, "verified")))
	case "UserList":
		return json.RawMessage(`{"Users":[` + worldList(t, `{"UserName":"user%d","DataUsed":%s}`) + `]}`)
	case "ManagedApplicationList":
		return json.RawMessage(fmt.Sprintf(`{"ManagedApplicationList":{"app%s":{"Status":"%s","ManagementFlags":1}}}`, version(),
			rapid.SampledFrom([]string{"Managed", "Installing", "Failed", "Unknown"}).Draw(t, "status of the app")))
	case "CertificateList":
		return json.RawMessage(`{"CertificateList":[` + worldList(t, `{"Data":"Y2VydD%d=","CommonName":"%s"}`) + `]}`)
	case "ManagedApplicationFeedback":
		return json.RawMessage(`{"ManagedApplicationFeedback":[{"Identifier":"app` + version() + `","Feedback":{"n":` + version() + `}}]}`)
	case "Restrictions":
		return json.RawMessage(`{"GlobalRestrictions":{"restrictedBool":{"allow` + version() + `":{"value":true}}}}`)
	}
	return nil
}

func worldList(t *rapid.T, format string) string {
	var list []string
	if rapid.Bool().Draw(t, "as always") {
		for i := range 9 { // a long list, which is said once
			list = append(list, fmt.Sprintf(format, i, "1"))
		}
		return strings.Join(list, ",")
	}
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		list = append(list, fmt.Sprintf(format, rapid.IntRange(1, 3).Draw(t, "entry"), rapid.SampledFrom([]string{"1", "2"}).Draw(t, "of version")))
	}
	return strings.Join(list, ",")
}

func (w *world) push(t *rapid.T, d device.Device, channel device.ChannelID) device.Push {
	c, _ := d.Channel(channel)
	p := device.Push{Channel: channel, Token: c.Token, Attempt: 1}
	if rapid.IntRange(0, 2).Draw(t, "refused") == 0 {
		p.Reason, p.Final = "Unregistered", rapid.Bool().Draw(t, "final")
	}
	return p
}

func (w *world) rare(t *rapid.T, d device.Device) ([]domain.Event, error) {
	switch evenly(t, w.rarest+1, "rare") {
	case 0:
		return d.CheckOut()
	case 1:
		if rapid.Bool().Draw(t, "of what is wanted") {
			return w.wants(t, d)
		}
		return d.ClearQueue("no longer wanted")
	case 2:
		if d.Status == device.StatusEnrolled {
			return []domain.Event{device.PresumedUnmanaged{Reason: "silent for 90 days"}}, nil
		}
	case 3:
		awaits := rapid.SampledFrom([]*bool{nil, nil, new(true), new(false)}).Draw(t, "awaits")
		return d.SetBootstrapToken([]byte(rapid.StringMatching("[ab]?").Draw(t, "bootstrap")), awaits)
	case 4:
		if rapid.Bool().Draw(t, "about leaving") {
			return w.leaves(t, d)
		}
		if rapid.Bool().Draw(t, "about secrets") {
			return w.secretive(t, d)
		}
		w.by(ada, eventstore.Stream{Kind: operator.Kind, ID: fmt.Sprint(len(w.events))}, w.clock,
			operator.TokenCreated{Name: "Bob", Role: operator.Viewer, Hash: fmt.Sprint(len(w.events))})
	case 6:
		return d.Erase(device.ChannelID(rapid.SampledFrom([]string{"", "anna", "anna"}).Draw(t, "whom")), "asked for")
	case 5:
		key := rapid.SampledFrom([]string{"k1", "k2"}).Draw(t, "key")
		if w.certified[key] {
			w.by(ada, eventstore.Stream{Kind: pushcert.Kind, ID: "topic"}, w.clock, pushcert.Stored{Topic: "topic", NotAfter: w.clock, KeyID: key},
				pushcert.Expiring{Topic: "topic", NotAfter: w.clock, Days: 30})
		} else {
			w.certified[key] = true
			w.by(ada, eventstore.Stream{Kind: pushcert.RequestKind, ID: key}, w.clock, pushcert.Requested{ID: key, CommonName: "Example"})
		}
	}
	return nil, nil
}

// secretive lets the keys of a day's locations be destroyed, or the server make itself a key pair for recovery keys.
func (w *world) secretive(t *rapid.T, d device.Device) ([]domain.Event, error) {
	if rapid.IntRange(0, 2).Draw(t, "forgets") > 0 {
		return d.ForgetLocations(w.clock.AddDate(0, 0, -rapid.IntRange(0, 1).Draw(t, "days ago")).UTC().Format(time.DateOnly))
	}
	pair := escrow.PairMade{Fingerprint: fmt.Sprint(len(w.events)), NotAfter: w.clock, Certificate: []byte("certificate"), Key: []byte("key")}
	w.by(ada, eventstore.Stream{Kind: escrow.Kind, ID: escrow.ID}, w.clock, pair)
	return nil, nil
}

// leaves has a device leave, stay, or be isolated.
func (w *world) leaves(t *rapid.T, d device.Device) ([]domain.Event, error) {
	switch rapid.IntRange(0, 4).Draw(t, "leaving") {
	case 0:
		return d.Unenrol("sold")
	case 1:
		return d.Stay("not sold")
	case 2:
		return d.TurnAway()
	case 3:
		return d.Quarantine("strange")
	}
	return d.Lift("not strange")
}

// happen records what one aggregate decided, unless it refused.
func happen[S interface {
	Evolve(e domain.Event, at time.Time) S
}](w *world, kind string, states map[string]S, id string, events []domain.Event, err error) error {
	if err != nil {
		return err
	}
	w.by(ada, eventstore.Stream{Kind: kind, ID: id}, w.clock, events...)
	for _, e := range events {
		states[id] = states[id].Evolve(e, w.clock)
	}
	return nil
}

// regroup lets somebody do something with a group.
func (w *world) regroup(t *rapid.T) error {
	id := rapid.SampledFrom([]string{"labs", "macs"}).Draw(t, "group")
	g, some := w.groups[id], rapid.SliceOfN(rapid.SampledFrom([]string{"d1", "d2", "d3", "d4"}), 1, 3).Draw(t, "members")
	d := group.Definition{Name: rapid.SampledFrom([]string{"One", "Two"}).Draw(t, "group's name")}
	if id == "macs" {
		d.Rule = json.RawMessage(rapid.SampledFrom([]string{
			`{"platform":["MACOS"]}`, `{"fact":[{"key":"device.OSVersion","op":"GE","value":"17.2"}]}`, `{"status":["ENROLLED"],"application":"app1"}`,
		}).Draw(t, "rule"))
	}
	acts := []func() ([]domain.Event, error){
		func() ([]domain.Event, error) { return g.Create(d) },
		func() ([]domain.Event, error) { return g.Change(d) },
		func() ([]domain.Event, error) { return g.Add(some) },
		func() ([]domain.Event, error) { return g.Remove(some) },
		func() ([]domain.Event, error) { return g.Delete("") },
	}
	events, err := acts[rapid.SampledFrom([]int{0, 0, 1, 2, 2, 2, 3, 4}).Draw(t, "with the group")]()
	return happen(w, group.Kind, w.groups, id, events, err)
}

// orderMany lets somebody order something for many devices, or take it back, or the server pass it on.
func (w *world) orderMany(t *rapid.T) error {
	id := rapid.SampledFrom([]string{"B1", "B2"}).Draw(t, "bulk order")
	o := w.bulks[id]
	var events []domain.Event
	var err error
	switch rapid.IntRange(0, 5).Draw(t, "with the order") {
	case 0:
		events, err = o.Cancel("no longer wanted")
	case 1, 2:
		what := bulk.Ordered{Group: "labs", RequestType: rapid.SampledFrom(worldTypes).Draw(t, "type"), Mark: "M", Body: "M", Reason: "asked for"}
		events, err = o.Order(what, []string{"d1", "d2", "d3"}, w.clock)
	default:
		events, err = w.passOn(t, id, o)
	}
	return happen(w, bulk.Kind, w.bulks, id, events, err)
}

// passOn passes an order on to some devices, each of which may have been passed it before.
func (w *world) passOn(t *rapid.T, id string, o bulk.Order) ([]domain.Event, error) {
	var refused []bulk.Refused
	some := o.Next(rapid.IntRange(1, 3).Draw(t, "some"))
	for _, one := range some {
		d := w.devices[one]
		events, err := d.Order("", device.Order{UUID: bulk.CommandUUID(id, one), RequestType: o.Ordered.RequestType, Bulk: id, Key: "bulk " + id}, false, w.clock)
		if err != nil {
			refused = append(refused, bulk.Refused{Device: one, Code: "conflict", Reason: err.Error()})
		}
		w.by(ada, eventstore.Stream{Kind: device.Kind, ID: one}, w.clock, events...)
		for _, e := range events {
			d = d.Evolve(e, w.clock)
		}
		w.devices[one] = d
	}
	if rapid.IntRange(0, 3).Draw(t, "killed before it was told") == 0 {
		return nil, nil
	}
	return o.PassOn(o.Reached, len(some), refused)
}

// declare lets somebody do something with a declaration.
// wants lets a worker order, or see refused, what is wanted of a device, or somebody have it tried again.
func (w *world) wants(t *rapid.T, d device.Device) ([]domain.Event, error) {
	channel := device.ChannelID(rapid.SampledFrom([]string{"", "", "anna"}).Draw(t, "wanted on"))
	thing := rapid.SampledFrom([]string{"profile/profile1", "app/app1", "inventory/daily", "setup"}).Draw(t, "wanted")
	revision := w.things[thing].Revision
	switch rapid.IntRange(0, 5).Draw(t, "what of it") {
	case 0:
		return []domain.Event{device.WantedRefused{Channel: channel, Thing: thing, Revision: revision, Because: "no"}}, nil
	case 1:
		return d.RetryWanted(channel, thing, "again")
	}
	w.orders++
	order := things(t, device.Order{UUID: fmt.Sprintf("w%d", w.orders), RequestType: rapid.SampledFrom([]string{"InstallProfile", "InstallApplication", "SecurityInfo"}).Draw(t, "wanted order"),
		Body: []byte("body"), SupersedeKey: "wanted/" + thing})
	return d.Want(device.WantedOrdered{Channel: channel, Thing: thing, Revision: revision, Attempt: rapid.IntRange(1, 5).Draw(t, "attempt"),
		Removes: rapid.IntRange(0, 3).Draw(t, "removes") == 0}, []device.Order{order}, w.clock)
}

var contentMarks = seal.NewPseudonyms([32]byte{1}).Stamp

// want lets somebody do something with a wanted thing.
func (w *world) want(t *rapid.T) error {
	id := rapid.SampledFrom([]string{"profile/profile1", "app/app1", "inventory/daily"}).Draw(t, "wanted thing")
	thing := w.things[id]
	to := wanted.Assignment{Group: rapid.SampledFrom([]string{"labs", "macs"}).Draw(t, "wanted by"), Users: rapid.Bool().Draw(t, "by users"), First: rapid.Bool().Draw(t, "first")}
	acts := []func() ([]domain.Event, error){
		func() ([]domain.Event, error) {
			return thing.Put(id, wanted.Content{UUID: "p1", Every: time.Hour, Shown: json.RawMessage(`{}`), Steps: []wanted.Step{{RequestType: rapid.SampledFrom([]string{"A", "B"}).Draw(t, "step"), Parameters: map[string]any{"Configuration": rapid.IntRange(1, 2).Draw(t, "configuration")}}}}, contentMarks)
		},
		func() ([]domain.Event, error) {
			return thing.Put(id, wanted.Content{UUID: "p1", Version: rapid.SampledFrom([]string{"latest", "latest", "1"}).Draw(t, "version"), Revision: "r", Shown: json.RawMessage(`{}`)}, contentMarks)
		},
		func() ([]domain.Event, error) { return thing.Assign(to) },
		func() ([]domain.Event, error) { return thing.Unassign(to) },
		func() ([]domain.Event, error) { return thing.Withdraw("") },
	}
	events, err := acts[rapid.SampledFrom([]int{0, 0, 1, 1, 2, 2, 2, 3, 4}).Draw(t, "with the wanted thing")]()
	return happen(w, wanted.Kind, w.things, id, events, err)
}

// declare lets somebody do something with a declaration, or with a wanted thing.
func (w *world) declare(t *rapid.T) error {
	if rapid.Bool().Draw(t, "wanted instead") {
		if rapid.IntRange(0, 2).Draw(t, "in the library") == 0 {
			return w.keep(t)
		}
		return w.want(t)
	}
	id := rapid.SampledFrom([]string{"pass", "about"}).Draw(t, "declaration")
	d := w.declarations[id]
	to := declaration.Assignment{Group: rapid.SampledFrom([]string{"labs", "macs"}).Draw(t, "assigned to"), Users: rapid.Bool().Draw(t, "users")}
	acts := []func() ([]domain.Event, error){
		func() ([]domain.Event, error) {
			payload := json.RawMessage(fmt.Sprintf(`{"x":%d}`, rapid.IntRange(1, 2).Draw(t, "payload")))
			return d.Put("com.apple.management.properties", payload, rapid.Bool().Draw(t, "unchecked"), contentMarks)
		},
		func() ([]domain.Event, error) { return d.Assign(to) },
		func() ([]domain.Event, error) { return d.Unassign(to) },
		func() ([]domain.Event, error) { return d.Withdraw("") },
	}
	events, err := acts[rapid.SampledFrom([]int{0, 0, 1, 1, 1, 2, 3}).Draw(t, "with the declaration")]()
	return happen(w, declaration.Kind, w.declarations, id, events, err)
}

// declares lets a device report its status, or be told of another set of declarations.
func (w *world) declares(t *rapid.T, d device.Device, channel device.ChannelID) ([]domain.Event, error) {
	if rapid.Bool().Draw(t, "told") {
		w.orders++
		o := device.Order{UUID: fmt.Sprintf("u%d", w.orders), RequestType: device.DeclarativeManagement, Body: []byte("body")}
		return d.AnnounceDeclarations(channel, rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "set"), o, w.clock)
	}
	return d.ReportDeclarationStatus(channel, json.RawMessage(rapid.SampledFrom([]string{
		`{"StatusItems":{"device":{"operating-system":{"version":"17.5"}},"mdm":{"app":[{"identifier":"a","state":"managed"},{"identifier":"b"}]}},"FullReport":true}`,
		`{"StatusItems":{"mdm":{"app":[{"identifier":"a","_removed":true},{"identifier":"c"}]},"passcode":{"is-compliant":true}},"FullReport":false}`,
		`{"StatusItems":{"passcode":{"is-compliant":null}}}`,
		`{"StatusItems":{"management":{"client-capabilities":{"supported-payloads":{"declarations":{"management":["com.apple.management.properties"]}}},
			"declarations":{"management":[{"identifier":"about","active":true,"valid":"valid","server-token":"s"}]}}}}`,
		`{"StatusItems":{"management":{"declarations":{"management":[]}}},"Errors":[]}`,
	}).Draw(t, "report")))
}

// lived makes a history of up to n acts.
func lived(t *rapid.T, n int) *world {
	w := newWorld()
	for range 1 + evenly(t, n, "acts") {
		w.live(t)
	}
	return w
}

// dump writes out all tables, with texts for numbers, in an order of its own. Numbers of texts are left out, for
// they depend on the order in which the views asked for them.
func dump(t testing.TB, v *Views) string {
	t.Helper()
	var lines []string
	for _, q := range dumps {
		err := v.read(t.Context(), func(tx Tx) error {
			return tx.Query(q.query, nil, func(r Row) error {
				line := q.name
				for i := range q.columns {
					line += "|" + r.Text(i)
				}
				lines = append(lines, line)
				return nil
			})
		})
		if err != nil {
			t.Fatalf("dump %s: %v", q.name, err)
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// keep lets somebody put a profile into the library, or withdraw it.
func (w *world) keep(t *rapid.T) error {
	const id = "profile1"
	k := w.library[id]
	var events []domain.Event
	var err error
	if rapid.IntRange(0, 4).Draw(t, "with the library") == 0 {
		events, err = k.Withdraw("")
	} else {
		text := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "content")
		events, err = k.Store(profile.Draft{Content: []byte(text), Values: profile.Values{
			"PayloadType": "Configuration", "PayloadIdentifier": id, "PayloadUUID": rapid.SampledFrom([]string{"p1", "p2"}).Draw(t, "kept edition"), "PayloadDisplayName": text,
		}}, true, contentMarks)
	}
	return happen(w, profile.Kind, w.library, id, events, err)
}

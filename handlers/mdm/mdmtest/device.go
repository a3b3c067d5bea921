// Package mdmtest plays Apple devices to an MDM server: for tests, for the demo and for load.
//
// A Device enrols, polls, carries out commands and answers as Apple documents it; what a command changes on it
// shows in its later answers. It is strict: a server that breaks the protocol gets a Violation, which says how.
// A Fleet makes many devices, the same ones for the same seed. A Wire carries their messages.
//
// Source: Apple, "Mobile Device Management", check-in and command protocols.
package mdmtest

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
)

// A Server says where a device speaks to, as its MDM payload does.
type Server struct {
	CheckIn string // URL of the check-in channel
	Connect string // URL of the command channel
	Topic   string // of pushes
}

// DefaultTopic is what devices are told when nobody says otherwise.
const DefaultTopic = "com.apple.mgmt.External.11111111-2222-4333-8444-555555555555"

// ServerAt returns the server whose only device URL is base + "/mdm".
func ServerAt(base string) Server {
	at := strings.TrimSuffix(base, "/") + "/mdm"
	return Server{CheckIn: at, Connect: at, Topic: DefaultTopic}
}

// Habits say how well a device behaves. Each is a share from 0 to 1.
type Habits struct {
	NotNow      float64 // of the commands that the platform may defer
	Error       float64 // of all commands: they fail
	FormatError float64 // of all commands: the device does not understand them
	Asleep      float64 // of the pushes: the device does not wake
}

// A Push is what a push to a channel needs.
type Push struct {
	Token []byte
	Magic string
}

// A Device is a make-believe Apple device. New and Fleet make whole ones; a test may then change any field before
// the device first speaks.
type Device struct {
	UDID         string // empty in a User Enrolment
	EnrollmentID string // of a User Enrolment
	SerialNumber string
	IMEI         string
	Name         string // DeviceName
	Platform     Platform
	ProductName  string
	Model        string
	ModelName    string
	OSVersion    string
	BuildVersion string

	Capacity   float64 // GB
	Free       float64 // GB
	Battery    float64 // 0 to 1; below 0 if it has none
	Supervised bool
	Awaiting   bool // in Setup Assistant, until DeviceConfigured
	Passcode   bool
	FileVault  bool // macOS
	Firewall   bool // macOS
	Locked     bool // by DeviceLock, until somebody unlocks it
	Off        bool // by ShutDownDevice, until somebody starts it
	SharedIPad bool

	Apps         []App
	Profiles     []Profile
	Certificates []Certificate
	Settings     dict // what Settings commands set, by Item
	Push         Push
	UnlockToken  []byte
	Users        []*User

	Server   Server
	Identity Identity
	Hardware *Hardware // in which it makes keys that are attested; none if nil
	Proof    Proof
	Wire     Wire
	Habits   Habits
	NewKey   func() (*rsa.PrivateKey, error) // makes the key that EnrolBy has certified; one of 2048 bits if nil

	mu       sync.Mutex // guards all that commands change
	rng      *mathrand.Rand
	shelf    *shelf
	own      channel
	enrolled bool
}

// A User is somebody who is logged in, with a channel of his own.
type User struct {
	UserID       string // constant on Shared iPads
	ShortName    string
	LongName     string
	NotOnConsole bool
	Push         Push
	Profiles     []Profile

	channel channel
}

// SharedIPadUser is the UserID of every user of a Shared iPad. They differ by ShortName.
const SharedIPadUser = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"

// New makes a device. The same seed makes the same device.
func New(seed uint64, p Platform) *Device {
	return newDevice(&shelf{}, mathrand.New(mathrand.NewPCG(seed, uint64(len(p)))), p)
}

func newDevice(s *shelf, rng *mathrand.Rand, p Platform) *Device {
	m := models[p][rng.IntN(len(models[p]))]
	all := releases[p]
	r := all[max(0, len(all)-6)+rng.IntN(4)]
	d := &Device{
		Platform: p, ProductName: m.product, ModelName: m.name, Model: m.number + "LL/A",
		OSVersion: r.version, BuildVersion: r.build,
		UDID: newUDID(m, rng), SerialNumber: newSerial(rng), Capacity: float64(m.capacity[rng.IntN(len(m.capacity))]),
		Battery: float64(20+rng.IntN(81)) / 100, Supervised: rng.IntN(10) < 8, Passcode: rng.IntN(10) < 9,
		FileVault: rng.IntN(10) < 8, Firewall: rng.IntN(10) < 6,
		Push: newPush(rng), rng: rng, shelf: s, Settings: dict{},
	}
	d.Free = float64(int(d.Capacity*(0.1+rng.Float64()*0.8)*100)) / 100
	d.Apps, d.Certificates, d.Profiles = s.apps(p, rng.IntN(variants)), s.certificates(), newProfiles(p, rng)
	d.Name = givenNames[rng.IntN(len(givenNames))] + "’s " + strings.Fields(m.name)[0]
	switch {
	case p == TvOS, p == MacOS && strings.HasPrefix(m.name, "iMac"), p == MacOS && strings.HasPrefix(m.name, "Mac mini"):
		d.Battery = -1
	}
	if m.cellular {
		d.IMEI = fmt.Sprintf("35%013d", rng.Int64N(1e13))
	}
	if p == IOS || p == IPadOS {
		d.UnlockToken = randomBytes(rng, 1024+rng.IntN(1024))
	}
	return d
}

// ID returns the UDID, or the EnrollmentID of a User Enrolment: the name by which servers address the device.
func (d *Device) ID() string { return cmp.Or(d.UDID, d.EnrollmentID) }

// ChannelID returns the name by which NanoMDM's tools address a channel: the device's ID, with the user's after a
// colon.
func (d *Device) ChannelID(u *User) string {
	switch {
	case u == nil:
		return d.ID()
	case u.UserID == SharedIPadUser:
		return d.ID() + ":" + u.ShortName
	}
	return d.ID() + ":" + u.UserID
}

// MakeUserEnrolment turns a new device into one that is enrolled by its user: it has no UDID and no serial number.
func (d *Device) MakeUserEnrolment() {
	d.EnrollmentID, d.UDID, d.SerialNumber, d.IMEI = newUUID(d.rng), "", "", ""
	d.UnlockToken, d.Supervised = nil, false
}

// AddUser logs a user in, by short and long name. He is told to the server by the next Enrol, or by EnrolUser.
func (d *Device) AddUser(short, long string) *User {
	u := &User{UserID: newUUID(d.rng), ShortName: short, LongName: long, Push: newPush(d.rng)}
	if d.Platform == IPadOS {
		d.SharedIPad, d.UnlockToken = true, nil
		u.UserID, u.LongName = SharedIPadUser, ""
	}
	d.Users = append(d.Users, u)
	return u
}

// Enrolled reports whether the device believes that it is managed.
func (d *Device) Enrolled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.enrolled
}

// Change lets f change the device while it may be speaking.
func (d *Device) Change(f func(*Device)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d)
	d.forget()
}

// forget throws away the answers that were prepared for the device as it was.
func (d *Device) forget() {
	d.own.ready, d.own.idle = nil, nil
	for _, u := range d.Users {
		u.channel.ready, u.channel.idle = nil, nil
	}
}

// newUDID returns one in the form of the model: a UUID for Macs, chip and number for the others.
func newUDID(m model, rng *mathrand.Rand) string {
	if m.chip == "" {
		return newUUID(rng)
	}
	return fmt.Sprintf("%s-%016X", m.chip, rng.Uint64())
}

func newSerial(rng *mathrand.Rand) string {
	const letters = "CDFGHJKLMNPQRTVWXY0123456789"
	b := []byte("X")
	for len(b) < 10 {
		b = append(b, letters[rng.IntN(len(letters))])
	}
	return string(b)
}

func newPush(rng *mathrand.Rand) Push { return Push{randomBytes(rng, 32), newUUID(rng)} }

func newUUID(rng *mathrand.Rand) string { return formatUUID(randomBytes(rng, 16)) }

// NewUUID returns a fresh CommandUUID that no seed repeats.
func NewUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	return formatUUID(b)
}

func formatUUID(b []byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := strings.ToUpper(hex.EncodeToString(b))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func randomBytes(rng *mathrand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

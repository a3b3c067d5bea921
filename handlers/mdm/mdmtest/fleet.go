package mdmtest

import (
	"crypto/tls"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
)

// A Fleet says which devices to make. The same seed makes the same devices, but for the keys of their identities.
type Fleet struct {
	Size   int
	Seed   uint64
	Mix    []Platform // the platforms in turn; half iPhones, a quarter iPads, some Macs and a few Apple TVs if nil
	Users  bool       // Macs have a user, and every fourth iPad is shared by two
	Server Server
	CA     *CA // that issues the identities; the devices have none if nil
	Proof  Proof
	Habits Habits
	Wire   Wire        // that all devices share; if nil, they share a Direct, or have one each if they prove themselves by TLS
	TLS    *tls.Config // of those
	Watch  *Stopwatch  // that times all messages; may be nil
}

// usualMix is of twenty devices.
var usualMix = []Platform{
	IOS, IPadOS, IOS, MacOS, IOS, IPadOS, IOS, IOS, MacOS, IOS, IPadOS, IOS, TvOS, IOS, IPadOS, IOS, MacOS, IPadOS, IOS, MacOS,
}

// Make makes the devices.
func (f Fleet) Make() ([]*Device, error) {
	mix, s, shared := f.Mix, &shelf{}, f.Wire
	if len(mix) == 0 {
		mix = usualMix
	}
	if shared == nil && f.Proof.Way != ByTLS {
		shared = f.Watch.Around(&Direct{TLS: f.TLS})
	}
	var devices []*Device
	for i := range f.Size {
		rng := mathrand.New(mathrand.NewPCG(f.Seed, uint64(i)))
		d := newDevice(s, rng, mix[i%len(mix)])
		d.Server, d.Proof, d.Habits, d.Wire = f.Server, f.Proof, f.Habits, shared
		if f.Users {
			d.moveIn(i)
		}
		if err := f.identify(d); err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// identify gives the device its identity, and a wire of its own if that is how it shows it.
func (f Fleet) identify(d *Device) error {
	if f.CA != nil {
		id, err := f.CA.Issue(d.ID())
		if err != nil {
			return fmt.Errorf("give %s an identity: %w", d.ID(), err)
		}
		d.Identity = id
	}
	if d.Wire != nil {
		return nil
	}
	config := &tls.Config{}
	if f.TLS != nil {
		config = f.TLS.Clone()
	}
	if f.CA != nil {
		config.Certificates = []tls.Certificate{d.Identity.TLS()}
	}
	d.Wire = f.Watch.Around(&Direct{TLS: config})
	return nil
}

// moveIn gives the i-th device its users.
func (d *Device) moveIn(i int) {
	n := 0
	switch {
	case d.Platform == MacOS:
		n = 1
	case d.Platform == IPadOS && i%4 == 1:
		n = 2
	}
	for k := range n {
		given, family := givenNames[(i+k)%len(givenNames)], familyNames[(i*7+k)%len(familyNames)]
		short := strings.ToLower(given)
		if d.Platform == IPadOS {
			short += "@example.com"
		}
		d.AddUser(short, given+" "+family)
	}
}

// Find returns the device, and the user if it is his, whose push token in hex that is.
func Find(devices []*Device, token string) (d *Device, u *User, ok bool) {
	for _, d := range devices {
		if hex.EncodeToString(d.Push.Token) == token {
			return d, nil, true
		}
		for _, u := range d.Users {
			if hex.EncodeToString(u.Push.Token) == token {
				return d, u, true
			}
		}
	}
	return nil, nil, false
}

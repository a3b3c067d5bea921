package mdmtest

import (
	mathrand "math/rand/v2"
	"slices"
)

// Live lets the days pass: apps and the system get updates, things are installed and removed, batteries and disks
// fill and empty, people turn FileVault and passcodes on and off. All chance is in rng.
func (d *Device) Live(rng *mathrand.Rand, days int) {
	d.Change(func(d *Device) {
		for range days {
			d.day(rng)
		}
	})
}

func (d *Device) day(rng *mathrand.Rand) {
	oneIn := func(n int) bool { return rng.IntN(n) == 0 }
	if d.Battery >= 0 {
		d.Battery = float64(15+rng.IntN(86)) / 100
	}
	d.Free = min(max(d.Free+rng.Float64()*2-1.05, 0.5), d.Capacity*0.95)
	d.Free = float64(int(d.Free*100)) / 100
	d.Locked, d.Off = d.Locked && !oneIn(2), d.Off && !oneIn(2)
	for oneIn(2) {
		d.updateApp(rng)
	}
	if oneIn(20) {
		d.changeApps(rng)
	}
	if oneIn(25) {
		d.updateSystem()
	}
	if oneIn(60) {
		d.changeProfiles(rng)
	}
	if oneIn(80) {
		d.Passcode = !d.Passcode || d.Supervised
	}
	if d.Platform == MacOS && oneIn(30) {
		d.FileVault = !d.FileVault
	}
	if d.Platform == MacOS && oneIn(40) {
		d.Firewall = !d.Firewall
	}
}

func (d *Device) updateApp(rng *mathrand.Rand) {
	if len(d.Apps) == 0 {
		return
	}
	d.Apps = slices.Clone(d.Apps)
	a := &d.Apps[rng.IntN(len(d.Apps))]
	a.Version, a.Bytes = a.newer(), a.Bytes+rng.IntN(1<<20)&^4095
}

// changeApps removes an app that nobody manages, or installs one again.
func (d *Device) changeApps(rng *mathrand.Rand) {
	all := newApps(d.Platform, mathrand.New(mathrand.NewPCG(uint64(rng.IntN(variants)), 60)))
	a := all[rng.IntN(len(all))]
	i := d.appAt(func(b App) bool { return a.Identifier == b.Identifier })
	switch {
	case i < 0:
		d.Apps = append(slices.Clone(d.Apps), a)
	case !d.Apps[i].Managed && len(d.Apps) > 5:
		d.Apps = slices.Delete(slices.Clone(d.Apps), i, i+1)
	}
}

func (d *Device) updateSystem() {
	if r, ok := after(d.Platform, d.OSVersion); ok {
		d.OSVersion, d.BuildVersion = r.version, r.build
	}
}

// changeProfiles installs, or removes, a profile of the user's own.
func (d *Device) changeProfiles(rng *mathrand.Rand) {
	p := newProfile(rng, "net.example.vpn", "Private VPN", false, "com.apple.vpn.managed")
	if i := profileAt(d.Profiles, p.Identifier); i >= 0 {
		d.Profiles = slices.Delete(slices.Clone(d.Profiles), i, i+1)
		return
	}
	d.Profiles = append(slices.Clip(d.Profiles), p)
}

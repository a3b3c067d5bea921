package device_test

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

var (
	ann        = device.User{UserShortName: "ann"}
	challenged = device.UserChallenged{Channel: "u", User: ann, Nonce: "n"}
	proved     = device.UserAuthenticated{Channel: "u", User: ann, Accepted: true, TokenHash: []byte("hash")}
)

// Lessons 63 and 64: a wrong digest is an answer and no refusal; an AuthToken holds until the next login.
func TestANetworkUserProvesHisPassword(t *testing.T) {
	right := device.Proof{Channel: "u", User: ann, Nonce: "n", Right: true, TokenHash: []byte("hash")}
	prove := func(p device.Proof, at time.Time) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.ProveUser(p, at) }
	}
	but := func(change func(*device.Proof)) device.Proof { p := right; change(&p); return p }
	soon := morning.Add(time.Minute)
	no := func(because string) device.UserAuthenticated {
		return device.UserAuthenticated{Channel: "u", User: ann, Because: because}
	}
	wrong := no("the user or the password is wrong")
	another := no("it answered another challenge than the last")
	check(t, []decision{
		{"is challenged", enrolled, func(d device.Device) (events, error) { return d.ChallengeUser("u", ann, "n") }, one(challenged), 0},
		{"is managed without proof", enrolled, func(d device.Device) (events, error) { return d.ManageUser("u", ann) },
			one(device.UserAuthenticated{Channel: "u", User: ann, Accepted: true}), 0},
		{"proves it", then(enrolled, one(challenged)), prove(right, soon), one(proved), 0},
		{"proves it again, for he did not see our answer", then(enrolled, events{challenged, proved}), prove(right, soon), one(proved), 0},
		{"has a wrong password", then(enrolled, one(challenged)), prove(but(func(p *device.Proof) { p.Right = false }), soon), one(wrong), 0},
		{"tries the challenge again with another password", then(enrolled, events{challenged, wrong}), prove(right, soon), one(another), 0},
		{"answers another challenge", then(enrolled, one(challenged)), prove(but(func(p *device.Proof) { p.Nonce = "m" }), soon), one(another), 0},
		{"answers nothing that was asked", enrolled, prove(but(func(p *device.Proof) { p.Nonce = "" }), soon), one(another), 0},
		{"answers too late", then(enrolled, one(challenged)), prove(right, noon), one(no("it answered too late")), 0},
		{"of a device that left", then(enrolled, one(left)), prove(right, soon), nil, domain.Unmanaged},
	})
}

func TestWhoMaySpeakForAUser(t *testing.T) {
	declined := device.UserAuthenticated{Channel: "u"}
	managed := device.UserAuthenticated{Channel: "u", Accepted: true}
	wrong := device.UserAuthenticated{Channel: "u", Because: "wrong"}
	for _, c := range []struct {
		name  string
		given events
		hash  string
		no    domain.Reason
	}{
		{"a local user never asks", both, "", 0},
		{"a local user with some token", both, "x", 0},
		{"one who was declined", then(enrolled, one(declined)), "", domain.Unmanaged},
		{"one who is managed without proof", then(enrolled, one(managed)), "", 0},
		{"one who owes his proof", then(enrolled, one(challenged)), "hash", domain.Forbidden},
		{"one who gave a wrong one", then(enrolled, events{challenged, wrong}), "", domain.Forbidden},
		{"one with his token", then(enrolled, events{challenged, proved}), "hash", 0},
		{"one without it", then(enrolled, events{challenged, proved}), "", domain.Forbidden},
		{"one with another", then(enrolled, events{challenged, proved}), "hush", domain.Forbidden},
		{"one who logs in anew", then(enrolled, events{challenged, proved, challenged}), "hash", domain.Forbidden},
		{"after the device enrolled again all is forgotten", then(enrolled, events{declined, again(2, "A"), token}), "", 0},
	} {
		err := fold(c.given, morning).AdmitsUser("u", []byte(c.hash))
		refusal, refused := domain.Refused(err)
		if refused != (c.no != 0) || refused && refusal.Reason != c.no {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := fold(then(enrolled, one(declined)), morning).AdmitsUser("", nil); err != nil {
		t.Errorf("the device itself is refused for its user's sake: %v", err)
	}
}

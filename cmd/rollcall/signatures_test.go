package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	proof "github.com/rollcall-mdm/rollcall/domain/evidence"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/domain/trust"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A testimony is a history of one device that signs what it sends, as it stands in a bundle.
type testimony struct {
	t         *testing.T
	ca, other *mdmtest.CA
	id, thief mdmtest.Identity
	events    []eventstore.Envelope
	at        time.Time
}

func newTestimony(t *testing.T) *testimony {
	t.Helper()
	x := &testimony{t: t, at: time.Now()}
	var errs [4]error
	x.ca, errs[0] = mdmtest.NewCA("Device CA")
	x.other, errs[1] = mdmtest.NewCA("Another CA")
	x.id, errs[2] = x.ca.Issue("U1")
	x.thief, errs[3] = x.ca.Issue("U2")
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return x
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// add adds an event of the stream d, whose evidence is the message, if there is one.
func (x *testimony) add(kind string, e domain.Event, m *proof.Message) {
	x.t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		x.t.Fatal(err)
	}
	env := eventstore.Envelope{Stream: eventstore.Stream{Kind: kind, ID: "d"}, Type: e.EventType(), Time: x.at, Data: data}
	if m != nil {
		env.Evidence = m.Bytes()
	}
	x.events = append(x.events, env)
}

// signed is a message that one has signed.
func (x *testimony) signed(by mdmtest.Identity, body string) *proof.Message {
	x.t.Helper()
	header, err := (mdmtest.Proof{Way: mdmtest.BySignature}).Sign(by, []byte(body))
	if err != nil {
		x.t.Fatal(err)
	}
	return &proof.Message{Shown: []string{proof.BySignature}, Signature: header, Size: len(body), Body: []byte(body)}
}

func (x *testimony) trusts(ca *mdmtest.CA) {
	der := ca.Certificate.Raw
	x.add(trust.Kind, trust.AuthorityTrusted{Fingerprint: fingerprint(der), Certificate: der}, nil)
}

func (x *testimony) enrols(by mdmtest.Identity) {
	x.add(device.Kind, device.Authenticated{Certificate: fingerprint(by.Certificate.Raw)}, x.signed(by, "authenticate"))
	x.add(device.Kind, device.IdentityPinned{Certificate: fingerprint(by.Certificate.Raw)}, nil)
}

// A device's signature is believed by the certificate that was the device's then, and the authorities of that day.
func TestSignaturesAreCheckedAgainstTheirDay(t *testing.T) {
	for name, tt := range map[string]struct {
		story func(x *testimony)
		want  tally
		says  string // of the one problem; empty if there is none
	}{
		"all is well": {func(x *testimony) {
			x.trusts(x.ca)
			x.enrols(x.id)
			x.add(device.Kind, device.Seen{}, x.signed(x.id, "idle"))
		}, tally{Evidence: 2, Holds: 2}, ""},
		"another body": {func(x *testimony) {
			x.trusts(x.ca)
			x.enrols(x.id)
			m := x.signed(x.id, "idle")
			m.Body = []byte("idlE")
			x.add(device.Kind, device.Seen{}, m)
		}, tally{Evidence: 2, Holds: 1, Broken: 1}, "does not hold"},
		"another device's certificate": {func(x *testimony) {
			x.trusts(x.ca)
			x.enrols(x.id)
			x.add(device.Kind, device.Seen{}, x.signed(x.thief, "idle"))
		}, tally{Evidence: 2, Holds: 1, Broken: 1}, "which was not the device's then"},
		"a certificate that was replaced": {func(x *testimony) {
			x.trusts(x.ca)
			x.enrols(x.id)
			x.add(device.Kind, device.Authenticated{Certificate: fingerprint(x.thief.Certificate.Raw)}, x.signed(x.thief, "a"))
			x.add(device.Kind, device.Seen{}, x.signed(x.id, "the old one speaks on until the new one is confirmed"))
			x.add(device.Kind, device.IdentityReplaced{Certificate: fingerprint(x.thief.Certificate.Raw)}, x.signed(x.thief, "b"))
			x.add(device.Kind, device.Seen{}, x.signed(x.id, "the old one"))
		}, tally{Evidence: 5, Holds: 4, Broken: 1}, "which was not the device's then"},
		"an attempt by another device is what its event says": {func(x *testimony) {
			x.trusts(x.ca)
			x.enrols(x.id)
			x.add(device.Kind, device.IdentityRefused{Certificate: fingerprint(x.thief.Certificate.Raw)}, x.signed(x.thief, "idle"))
			x.add(device.Kind, device.IdentityRefused{Certificate: fingerprint(x.id.Certificate.Raw)}, x.signed(x.thief, "idle"))
		}, tally{Evidence: 3, Holds: 2, Broken: 1}, "another certificate than the event says"},
		"an authority that nobody trusted": {func(x *testimony) {
			x.trusts(x.other)
			x.enrols(x.id)
		}, tally{Evidence: 1, Broken: 1}, "no authority that the server trusted then"},
		"an authority that was withdrawn before": {func(x *testimony) {
			x.trusts(x.ca)
			x.add(trust.Kind, trust.AuthorityWithdrawn{Fingerprint: fingerprint(x.ca.Certificate.Raw)}, nil)
			x.enrols(x.id)
		}, tally{Evidence: 1, Broken: 1}, "no authority that the server trusted then"},
		"an authority that was withdrawn afterwards": {func(x *testimony) {
			x.trusts(x.ca)
			x.enrols(x.id)
			x.add(trust.Kind, trust.AuthorityWithdrawn{Fingerprint: fingerprint(x.ca.Certificate.Raw)}, nil)
		}, tally{Evidence: 1, Holds: 1}, ""},
		"a certificate that had expired": {func(x *testimony) {
			x.trusts(x.ca)
			x.at = x.id.Certificate.NotAfter.Add(time.Second)
			x.enrols(x.id)
		}, tally{Evidence: 1, Broken: 1}, "not valid then"},
		"a certificate that was not valid yet": {func(x *testimony) {
			x.trusts(x.ca)
			x.at = x.id.Certificate.NotBefore.Add(-clockSkew - time.Second)
			x.enrols(x.id)
		}, tally{Evidence: 1, Broken: 1}, "not valid then"},
		"what cannot be judged is counted": {func(x *testimony) {
			x.enrols(x.id) // nothing tells of authorities
			m := x.signed(x.id, "a long one")
			m.Size = 1 << 20
			x.add(device.Kind, device.MessageUnrecognised{}, m)
			x.add(device.Kind, device.Seen{}, &proof.Message{Shown: []string{proof.ByTLS}, Size: 4, Body: []byte("idle")})
			x.add(stranger.Kind, stranger.MessageRefused{}, &proof.Message{Signature: "AAAA", Size: 4, Body: []byte("idle")})
			x.add(device.Kind, device.Seen{}, &proof.Message{Body: []byte("sealed")})
			x.add(device.Kind, device.UserAuthenticated{}, &proof.Message{Shown: []string{proof.BySignature}, Body: []byte("<plist/>"), Blanked: []string{"DigestResponse"}})
			x.trusts(x.ca)
			x.add("device-of-which-the-beginning-is-not-here", device.Seen{}, x.signed(x.id, "idle"))
		}, tally{Evidence: 7, Blanked: 1, Closed: 1, Unsigned: 2, Cut: 1, Alone: 1, Unchained: 1}, ""},
		"evidence that was altered": {func(x *testimony) {
			x.add(device.Kind, device.Seen{}, &proof.Message{Body: []byte("altered")})
		}, tally{Evidence: 1}, "does not open"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTestimony(t)
			tt.story(x)
			s := &signatures{Open: func(env eventstore.Envelope) ([]byte, error) {
				switch body := string(proof.Parse(env.Evidence).Body); body {
				case "sealed":
					return nil, nil
				case "altered":
					return nil, errors.New("broken")
				}
				return env.Evidence, nil
			}}
			var problems []string
			for _, env := range x.events {
				if p := s.event(env); p != "" {
					problems = append(problems, p)
				}
			}
			if s.tally != tt.want {
				t.Errorf("counted %+v, want %+v", s.tally, tt.want)
			}
			if all := strings.Join(problems, "\n"); (tt.says == "") != (len(problems) == 0) || !strings.Contains(all, tt.says) || len(problems) > 1 {
				t.Errorf("found %q, want one that says %q", problems, tt.says)
			}
		})
	}
}

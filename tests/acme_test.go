package tests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// acme starts a host that has devices attest their keys, and believes the make-believe Apple that is returned.
func (h *host) acme(flags ...string) *mdmtest.Hardware {
	h.t.Helper()
	apple, err := mdmtest.NewHardware()
	if err != nil {
		h.t.Fatal(err)
	}
	roots := filepath.Join(h.t.TempDir(), "attestation.pem")
	if err := os.WriteFile(roots, apple.Root.PEM(), 0o600); err != nil {
		h.t.Fatal(err)
	}
	h.more = append([]string{"--identity-payload", "acme-attested", "--attestation-ca", roots}, flags...)
	h.start()
	h.pushable()
	return apple
}

// comer makes a device whose hardware attests keys.
func (h *host) comer(seed uint64, platform mdmtest.Platform, apple *mdmtest.Hardware) *wayfarer {
	d := mdmtest.New(seed, platform)
	d.Proof, d.Hardware = mdmtest.Proof{Way: mdmtest.BySignature}, apple
	return &wayfarer{Device: d, h: h}
}

// Devices come in with keys that were made in their hardware and attested, on every road that a profile takes, to a command
// that was answered; and whoever cannot show that does not, by any door.
func TestDevicesComeInWithAttestedKeys(t *testing.T) {
	h := newHost(t)
	apple := h.acme("--acme-require-attestation", "--apple-device-ca", h.caFile)
	link := func() []byte {
		status, body := h.fetch(http.MethodGet, h.link()+"/profile.mobileconfig", nil)
		if status != http.StatusOK {
			t.Fatalf("the answer is %d %s", status, body)
		}
		return body
	}
	for i, platform := range []mdmtest.Platform{mdmtest.IOS, mdmtest.MacOS} {
		w := h.comer(uint64(i)+1, platform, apple)
		w.arrives(link(), "by a profile that was loaded")
		told := fmt.Sprint(h.ask(fmt.Sprintf(`{ device(id: %q) { timeline(last: 30) { edges { node { type summary } } } }
			identityCertificates(device: %[1]q) { edges { node { road attestation { vouched namesSerial osVersion sip } } } } }`, w.ID())))
		for _, want := range []string{"device.identity-attested", "serial number " + w.SerialNumber, "vouches that the key was made in hardware", "vouched:true", "namesSerial:true", "osVersion:" + w.OSVersion} {
			if !strings.Contains(told, want) {
				t.Errorf("%s: %s is not told: %s", platform, want, told)
			}
		}
		if mac := strings.Contains(told, "sip:0"); mac != (platform == mdmtest.MacOS) {
			t.Errorf("%s: System Integrity Protection is told: %t", platform, mac)
		}
	}
	t.Run("automated", func(t *testing.T) {
		w := h.comer(3, mdmtest.IOS, apple)
		built, err := h.ca.Issue("built in")
		if err != nil {
			t.Fatal(err)
		}
		message, err := w.MachineInfo(built, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, body := h.fetch(http.MethodPost, "/enroll/ade", message)
		if status != http.StatusOK {
			t.Fatalf("the answer is %d %s", status, body)
		}
		if err := h.comer(4, mdmtest.IOS, apple).EnrolBy(bounded(t), body); err == nil || !strings.Contains(err.Error(), "another device") {
			t.Errorf("another device comes in by its profile: %v", err)
		}
		w.arrives(body, "by Automated Device Enrollment")
	})
	t.Run("asked later", func(t *testing.T) {
		w := h.comer(10, mdmtest.MacOS, apple)
		w.arrives(link(), "by a profile that was loaded")
		const nonce = "5f6e6f6e63655f5f"
		asks := func(q string) string { return fmt.Sprint(h.ask(fmt.Sprintf(q, w.ID()))) }
		if told := asks(`{ device(id: %q) { attestation { since } } }`); !strings.Contains(told, "attestation:<nil>") {
			t.Errorf("before it was asked: %s", told)
		}
		asks(`mutation { sendCommand(input: { devices: [%q], requestType: "DeviceInformation", parameters: { Queries: ["DevicePropertiesAttestation"], DeviceAttestationNonce: "X25vbmNlX18=" } }) { commands { uuid } } }`)
		if _, err := w.Session(bounded(t)); err != nil {
			t.Fatal(err)
		}
		told := asks(`{ device(id: %q) { attestation { serialNumber own freshness problem says { vouched osVersion sip } } } }`)
		for _, want := range []string{"serialNumber:" + w.SerialNumber, "own:true", "freshness:" + nonce, "problem:<nil>", "vouched:true", "sip:0"} {
			if !strings.Contains(told, want) {
				t.Errorf("%s is not told: %s", want, told)
			}
		}
		var err error
		if w.Hardware, err = mdmtest.NewHardware(); err != nil {
			t.Fatal(err)
		}
		asks(`mutation { sendCommand(input: { devices: [%q], requestType: "DeviceInformation", parameters: { Queries: ["DevicePropertiesAttestation"] } }) { commands { uuid } } }`)
		if _, err := w.Session(bounded(t)); err != nil {
			t.Fatal(err)
		}
		if told := asks(`{ device(id: %q) { attestation { serialNumber own problem says { vouched } } } }`); !strings.Contains(told, "do not lead to a root") || !strings.Contains(told, "says:<nil>") || !strings.Contains(told, "own:<nil>") {
			t.Errorf("a stranger's is told as %s", told)
		}
	})
	t.Run("a used profile", func(t *testing.T) {
		profile := link()
		if err := h.comer(5, mdmtest.IOS, apple).EnrolBy(bounded(t), profile); err != nil {
			t.Fatal(err)
		}
		if err := h.comer(6, mdmtest.IOS, apple).EnrolBy(bounded(t), profile); err == nil || !strings.Contains(err.Error(), "used by another key") {
			t.Errorf("a profile that is good once was good twice: %v", err)
		}
	})
	t.Run("a stranger's attestation", func(t *testing.T) {
		stranger, err := mdmtest.NewHardware()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.comer(7, mdmtest.IOS, stranger).EnrolBy(bounded(t), link()); err == nil || !strings.Contains(err.Error(), "badAttestationStatement") {
			t.Errorf("it came in: %v", err)
		}
	})
	t.Run("no attestation", func(t *testing.T) {
		text := strings.Replace(string(unsigned(t, h)), "<key>Attest</key><true/>", "<key>Attest</key><false/>", 1)
		if err := h.comer(8, mdmtest.IOS, apple).EnrolBy(bounded(t), []byte(text)); err == nil || !strings.Contains(err.Error(), "badAttestationStatement") {
			t.Errorf("it came in: %v", err)
		}
	})
	t.Run("by SCEP", func(t *testing.T) {
		_, body := h.fetch(http.MethodGet, h.link()+"/ota.mobileconfig", nil)
		challenge := serviceChallenge(t, body)
		w := h.comer(9, mdmtest.IOS, apple)
		built, err := h.ca.Issue("built in")
		if err != nil {
			t.Fatal(err)
		}
		message, err := w.MachineInfo(built, map[string]any{"CHALLENGE": challenge})
		if err != nil {
			t.Fatal(err)
		}
		_, body = h.fetch(http.MethodPost, "/enroll/ota", message)
		if _, err := mdmtest.IdentityBy(bounded(t), body); err == nil {
			t.Error("a key that nobody vouches for got a certificate")
		}
	})
	if text := h.said.String(); strings.Contains(text, "panic") {
		t.Error("the server panicked")
	}
}

// unsigned returns an operator's profile as XML.
func unsigned(t *testing.T, h *host) []byte {
	t.Helper()
	status, body := h.fetch(http.MethodGet, "/enroll/default.mobileconfig?signed=false", nil, "Authorization", "Bearer "+h.token())
	if status != http.StatusOK {
		t.Fatalf("the answer is %d %s", status, body)
	}
	return body
}

// Where no attestation is demanded, a device that has none to show comes in by ACME all the same, and a restart in between
// disturbs nobody.
func TestDevicesComeInByACME(t *testing.T) {
	h := newHost(t)
	h.more = []string{"--identity-payload", "acme"}
	h.start()
	h.pushable()
	profile := unsigned(t, h)
	h.kill()
	h.start()
	for seed := range uint64(2) {
		h.comer(seed+1, mdmtest.IOS, nil).arrives(profile, "by a profile that was loaded")
	}
	if _, body := h.fetch(http.MethodGet, "/metrics", nil); !strings.Contains(string(body), `rollcall_acme_requests_total{operation="finalize",outcome="ok"} 2`) {
		t.Error("the requests are not counted")
	}
}

package mdm

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"

	guard "github.com/rollcall-mdm/rollcall/handlers/cms"
)

// seedMessages are real ones, as the reader's own tests have them.
func seedMessages(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("../plist/testdata/*plist")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, keys := range []map[string]any{
		{"UDID": "U1", "MessageType": "Authenticate", "Topic": topic},
		{"UDID": "U1", "MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("t"), "PushMagic": "m"},
		{"UDID": "U1", "MessageType": "DeclarativeManagement", "Endpoint": "status", "Data": []byte("{}")},
		{"UDID": "U1", "MessageType": "DeclarativeManagement", "Endpoint": "declaration/asset/x"},
		{"UDID": "U1", "MessageType": "SetBootstrapToken", "BootstrapToken": []byte("b")},
		{"UDID": "U1", "Status": "Idle"},
		{"UDID": "U1", "Status": "NotNow", "CommandUUID": "C1"},
		{"UDID": "U1", "Status": "Acknowledged", "CommandUUID": "C1", "SecurityInfo": map[string]any{"X": 1}},
		{"UDID": "U1", "Status": "Error", "CommandUUID": "C2", "ErrorChain": []any{map[string]any{"ErrorCode": 1}}},
	} {
		f.Add(xml(f, keys))
	}
}

// fuzzPath sends whatever comes in one device's name. The door must stand, answer with one of its few statuses, and
// leave a history that can be read back.
func fuzzPath(f *testing.F, path string) {
	seedMessages(f)
	h := build(f, func(h *house) { h.door.KeptPerHour = 3 })
	id := h.ca.issue(f, "U1")
	f.Fuzz(func(t *testing.T, body []byte) {
		h.t = t
		g := &guest{h, id, map[string]any{"UDID": "U1"}}
		if g.state().Status == "" {
			g.authenticate()
			g.token(nil)
		}
		if d := g.state(); d.Status == device.StatusEnrolled && len(d.Channels[0].Queue) == 0 {
			g.order("", "SecurityInfo", eventstore.NewUUID().String())
		}
		switch w := h.put(path, body, byProxy(id)); w.Code {
		case 200, 400, 404, 410:
		default:
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
		h.history(eventstore.Stream{Kind: device.Kind, ID: g.stream()})
		if len(g.history()) > 500 {
			h.connectRepositories() // and the door goes on from what the log says
		}
	})
}

func FuzzCheckIn(f *testing.F) { fuzzPath(f, "/mdm/checkin") }

func FuzzConnect(f *testing.F) { fuzzPath(f, "/mdm/connect") }

// FuzzSignature sends a signature of any bytes. None but the device's own is ever believed.
func FuzzSignature(f *testing.F) {
	ca := newAuthority(f, "Device CA")
	body := []byte("a body")
	for _, how := range []signing{{}, {attributes: true}, {keyID: true}, {attached: true}, {signers: 2}} {
		der := cms(f, ca.issue(f, "U1"), body, how)
		f.Add(der)
		f.Add(indefinite(der))
	}
	other := newAuthority(f, "Another CA")
	trusting := &Identity{Methods: []string{bySignature}, Authorities: other.pool()}
	f.Fuzz(func(t *testing.T, ber []byte) {
		r, err := http.NewRequest(http.MethodPut, "/mdm", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Mdm-Signature", base64.StdEncoding.EncodeToString(ber))
		if who, err := trusting.examine(r, noon); err == nil {
			t.Fatalf("%s was believed", who.Fingerprint)
		}
		if der, err := guard.DER(ber); err == nil {
			again, err := guard.DER(der)
			if err != nil || string(again) != string(der) {
				t.Errorf("what was made of it is no DER: %v", err)
			}
		}
		if s, err := readSignature(base64.StdEncoding.EncodeToString(ber)); err == nil {
			_ = s.covers(body) // must not panic; whether it holds is the seeds' affair
		}
	})
}

// FuzzCertificateHeader sends a certificate header of any bytes. Nobody is believed whom the CA does not know.
func FuzzCertificateHeader(f *testing.F) {
	known, stranger := newAuthority(f, "Device CA"), newAuthority(f, "Another CA").issue(f, "U1")
	for _, seed := range []string{stranger.escaped(), stranger.rfc9440(), "::", ":AAAA:", "%", "-----BEGIN%20CERTIFICATE-----"} {
		f.Add(seed)
	}
	trusting := &Identity{Methods: []string{byHeader + ":" + certHeader}, Authorities: known.pool(), TrustedProxies: localhost}
	f.Fuzz(func(t *testing.T, value string) {
		r := &http.Request{Header: http.Header{certHeader: {value}}, RemoteAddr: "127.0.0.1:1"}
		if who, err := trusting.examine(r, noon); err == nil {
			t.Fatalf("%s was believed", who.Fingerprint)
		}
	})
}

package handlers

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
	"github.com/rollcall-mdm/rollcall/projections"
)

const wifi = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>com.example.wifi</string><key>PayloadUUID</key><string>U1</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.wifi.managed</string><key>PayloadVersion</key><integer>1</integer><key>PayloadIdentifier</key><string>com.example.wifi.a</string>
<key>PayloadUUID</key><string>W1</string><key>SSID_STR</key><string>net of %DeviceName%</string></dict></array></dict></plist>
`

// adaSigns returns the content with Ada's signature.
func adaSigns(t testing.TB, content []byte) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Ada"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	message, err := (&cms.Signer{Chain: []*x509.Certificate{certificate}, Key: key}).Sign(content)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestProfilesAreReadSignedOrNot(t *testing.T) {
	plain, err := ReadDraft([]byte(wifi))
	if err != nil || plain.SignedBy != "" || plain.Signer != "" || len(profile.Lint(plain.Values)) > 0 {
		t.Errorf("it is read as %+v (%v), and %v is found", plain, err, profile.Lint(plain.Values))
	}
	message := adaSigns(t, []byte(wifi))
	signed, err := ReadDraft(message)
	if err != nil || signed.SignedBy != "CN=Ada" || len(signed.Signer) != 64 || !bytes.Equal(signed.Content, message) || signed.Values["PayloadUUID"] != "U1" {
		t.Errorf("signed, it is read as %+v (%v)", signed, err)
	}
	for name, content := range map[string][]byte{
		"altered":   bytes.Replace(message, []byte("com.example.wifi"), []byte("com.example.evil"), 1),
		"nothing":   nil,
		"text":      []byte("a profile"),
		"no dict":   []byte(`<plist version="1.0"><array/></plist>`),
		"half":      message[:len(message)/2],
		"an entity": []byte(`<!DOCTYPE plist [<!ENTITY a "b">]><plist version="1.0"><dict><key>a</key><string>&a;</string></dict></plist>`),
	} {
		if _, err := ReadDraft(content); err == nil {
			t.Errorf("%s: it is taken", name)
		} else if _, is := domain.Refused(err); !is {
			t.Errorf("%s: the failure is the server's: %v", name, err)
		}
	}
}

// What a device calls itself is text in the profile that it gets, whatever it is.
func TestFilledProfilesHoldTextAsItIs(t *testing.T) {
	draft, err := ReadDraft([]byte(wifi))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOf(rapid.RuneFrom([]rune("<>&\"'%;]ü\t a"))).Filter(func(s string) bool { return s != "" }).Draw(t, "name")
		filled, err := profile.Fill(draft.Values, known(projections.Device{Name: name}, nil, "", ""))
		if err != nil {
			t.Fatal(err)
		}
		text, err := WriteProfile(filled)
		if err != nil {
			t.Fatal(err)
		}
		var back profile.Values
		if err := plist.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if got := back["PayloadContent"].([]any)[0].(map[string]any)["SSID_STR"]; got != "net of "+name {
			t.Fatalf("%q became %q", name, got)
		}
	})
}

func TestAVersionWithoutVariablesIsDeliveredAsItIs(t *testing.T) {
	same, err := (&Library{}).Fill(t.Context(), profile.Version{Content: []byte(wifi)}, projections.Device{}, "")
	if err != nil || string(same) != wifi {
		t.Errorf("it is delivered as %q (%v)", same, err)
	}
	if _, err := (&Library{}).Fill(t.Context(), profile.Version{Variables: []string{profile.DeviceName}}, projections.Device{}, ""); err == nil {
		t.Error("a profile whose keys are gone is delivered")
	}
}

func TestWhatVariablesAreFilledFrom(t *testing.T) {
	ada, bob := projections.UserChannel{ID: "a", ShortName: "ada", LongName: "Ada L."}, projections.UserChannel{ID: "b", ShortName: "bob"}
	d := projections.Device{SerialNumber: "S", UDID: "U", Name: "N", ProductName: "P", Model: "M", ModelName: "MN", OSVersion: "1", BuildVersion: "B", IMEI: "I", EnrollmentID: "E"}
	all := known(d, []projections.UserChannel{ada}, "", "ada@example.com")
	for _, name := range profile.Variables() {
		if all[name] == "" {
			t.Errorf("%s is never filled", name)
		}
	}
	for _, tt := range []struct {
		users   []projections.UserChannel
		channel string
		want    string
	}{{[]projections.UserChannel{ada, bob}, "", ""}, {[]projections.UserChannel{ada, bob}, "b", "bob"}, {[]projections.UserChannel{ada}, "", "ada"}, {nil, "", ""}} {
		if got := known(d, tt.users, device.ChannelID(tt.channel), "")[profile.ShortName]; got != tt.want {
			t.Errorf("of %d users, on the channel %q, it is %q, want %q", len(tt.users), tt.channel, got, tt.want)
		}
	}
}

// FuzzReadDraft lets anybody import anything.
func FuzzReadDraft(f *testing.F) {
	f.Add([]byte(wifi))
	f.Add(adaSigns(f, []byte(wifi)))
	f.Add([]byte("bplist00"))
	f.Add([]byte(strings.Replace(wifi, "<string>U1</string>", "<data>AA==</data>", 1)))
	f.Fuzz(func(t *testing.T, content []byte) {
		draft, err := ReadDraft(content)
		if err != nil {
			if _, is := domain.Refused(err); !is {
				t.Errorf("the failure is the server's: %v", err)
			}
			return
		}
		events, err := profile.Kept{}.Store(draft, true, func(...string) string { return "" })
		if err == nil && len(events) != 1 {
			t.Errorf("it is stored as %v", events)
		}
	})
}

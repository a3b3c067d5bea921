package handlers

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/profile"
)

// anEnrolment is an enrolment profile as the server makes it.
func anEnrolment(t *testing.T) profile.Values {
	t.Helper()
	v, err := profile.Enrolment{
		Head:     profile.Head{Server: "https://mdm.example.com", Identifier: "com.example.enrolment"},
		Identity: profile.SCEP{URL: "https://mdm.example.com/scep", Subject: profile.Subject{{"CN", "1"}}, Challenge: "CANARY-CHALLENGE"},
		MDM:      profile.MDM{Topic: "com.apple.mgmt.External.1", ServerURL: "https://mdm.example.com/mdm", AccessRights: profile.AllRights},
	}.Profile()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheSameProfileIsTheSameBytes(t *testing.T) {
	one, err := WriteProfile(anEnrolment(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, err := WriteProfile(anEnrolment(t)); err != nil || !bytes.Equal(one, again) {
			t.Fatalf("%s\nis written as (%v)\n%s", one, err, again)
		}
	}
	if !bytes.HasPrefix(one, []byte("<?xml")) || bytes.Count(one, []byte("<string>com.apple.mdm</string>")) != 1 {
		t.Errorf("the profile is\n%s", one)
	}
}

func TestADeviceAloneDeciphersItsProfile(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := EncipherProfile(anEnrolment(t), certificate)
	if err != nil {
		t.Fatal(err)
	}
	text, err := WriteProfile(sealed)
	if err != nil || bytes.Contains(text, []byte("CANARY")) || sealed["PayloadIdentifier"] != "com.example.enrolment" || sealed["PayloadContent"] != nil {
		t.Errorf("the profile is (%v)\n%s", err, text)
	}
	dir := t.TempDir()
	in, keyFile := filepath.Join(dir, "in"), filepath.Join(dir, "key")
	for file, content := range map[string][]byte{
		in:      sealed["EncryptedPayloadContent"].([]byte),
		keyFile: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", in, "-inkey", keyFile).Output()
	if err != nil || !bytes.Contains(out, []byte("CANARY-CHALLENGE")) || !bytes.Contains(out, []byte("<array>")) {
		t.Errorf("openssl reads (%v)\n%s", err, out)
	}
}

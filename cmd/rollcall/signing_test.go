package main

import (
	"bytes"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/handlers/cms"
)

const plainProfile = `<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>com.example.a</string><key>PayloadUUID</key><string>A-1</string><key>PayloadContent</key><array/></dict></plist>
`

// profileFile keeps a profile in a file.
func profileFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.mobileconfig")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func signProfile(t *testing.T, c profileSignCmd) []byte {
	t.Helper()
	var out bytes.Buffer
	c.Out = &out
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOpenSSLVerifiesASignedProfile(t *testing.T) {
	dir, file := t.TempDir(), profileFile(t, plainProfile)
	message := signProfile(t, profileSignCmd{Data: dir, File: file})
	in := profileFile(t, string(message))
	for _, tool := range []string{"cms", "smime"} {
		out, err := exec.Command("openssl", tool, "-verify", "-inform", "DER", "-binary", "-in", in, "-CAfile", filepath.Join(dir, "device-ca.pem")).Output()
		if err != nil || string(out) != plainProfile {
			t.Errorf("openssl %s: %v\n%s", tool, err, out)
		}
	}
	_, first, err := cms.Content(message)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := cms.Content(signProfile(t, profileSignCmd{Data: dir, File: file})); err != nil || !again.Equal(first) {
		t.Errorf("the next profile is signed by another: %v (%v)", again, err)
	}
	if len(first.ExtKeyUsage) != 1 || first.ExtKeyUsage[0] != x509.ExtKeyUsageEmailProtection {
		t.Errorf("the signer says that it is for %v", first.ExtKeyUsage)
	}
	if info, err := os.Stat(filepath.Join(dir, signerKey)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the key: %v %v", info, err)
	}
	given := signing{ProfileCert: filepath.Join(dir, signerCert), ProfileKey: filepath.Join(dir, signerKey)}
	if _, own, err := cms.Content(signProfile(t, profileSignCmd{signing: given, Data: t.TempDir(), File: file})); err != nil || !own.Equal(first) {
		t.Errorf("a given signer does not sign: %v (%v)", own, err)
	}
}

func TestWhoCannotSignProfiles(t *testing.T) {
	dir := t.TempDir()
	signProfile(t, profileSignCmd{Data: dir, File: profileFile(t, plainProfile)})
	cert, key, ca := filepath.Join(dir, signerCert), filepath.Join(dir, signerKey), filepath.Join(dir, "device-ca.key")
	for _, tt := range []struct {
		is    signing
		wrong string
	}{
		{signing{ProfileCert: cert}, "go together"},
		{signing{ProfileCert: cert, ProfileKey: ca}, "is not that of the certificate"},
		{signing{ProfileCert: key, ProfileKey: key}, "holds no certificate"},
		{signing{ProfileCert: cert, ProfileKey: cert}, "holds no RSA or ECDSA key"},
	} {
		if err := tt.is.check(); err == nil || !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("the answer is %v, want one that says %q", err, tt.wrong)
		}
	}
	c := profileSignCmd{Data: dir, File: profileFile(t, "no profile")}
	if err := c.Run(); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("what is no profile is signed: %v", err)
	}
}

func TestProfilesAreCheckedOnTheCommandLine(t *testing.T) {
	for more, want := range map[string]string{
		"":                      "",
		"<key>Foo</key><true/>": ": warning: Foo is not a key of Apple's that is known here",
		"<key>PayloadScope</key><integer>1</integer>": ": error: PayloadScope must be a string, not an integer",
	} {
		var out bytes.Buffer
		c := profileCheckCmd{Files: []string{profileFile(t, strings.Replace(plainProfile, "<dict>", "<dict>"+more, 1))}, Out: &out}
		err := c.Run()
		if (err != nil) != strings.Contains(want, "error") || !strings.Contains(out.String(), want) || want == "" && out.Len() > 0 {
			t.Errorf("%s: it says %q, %v", more, &out, err)
		}
	}
	if err := (&profileCheckCmd{Files: []string{profileFile(t, "none")}}).Run(); err == nil {
		t.Error("what is no profile passes")
	}
}

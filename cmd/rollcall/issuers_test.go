package main

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// Another issuer's address stands in enrolment profiles instead of ours.
func TestProfilesNameAnotherIssuer(t *testing.T) {
	err := inHouse(t, filepath.Join(t.TempDir(), "data"), func(s *server) {
		for want, e := range map[string]handlers.Enrolments{
			"https://ca.example.com/scep":                      {SCEP: "https://ca.example.com/scep"},
			"https://ca.example.com/acme/mdm/directory":        {ACME: "https://ca.example.com/acme/mdm/directory"},
			strings.TrimRight(s.enrolments.URL, "/") + "/scep": {},
		} {
			e.Challenges, e.URL, e.Root, e.PlainHTTP = s.vouchers, s.enrolments.URL, s.enrolments.Root, true
			identity, err := e.Identity(t.Context(), handlers.Pass{Invitation: enrollment.Default, Road: enrollment.Profile})
			if err != nil {
				t.Fatal(err)
			}
			switch i := identity.(type) {
			case profile.SCEP:
				if i.URL != want || i.Challenge == "" {
					t.Errorf("it names %s, want %s", i.URL, want)
				}
			case profile.ACME:
				if i.DirectoryURL != want || i.ClientIdentifier == "" {
					t.Errorf("it names %s, want %s", i.DirectoryURL, want)
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A challenge that stands in a file lets in whoever knows it, by the default invitation; one that is nearly it nobody.
func TestAStaticChallenge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "challenge")
	if err := os.WriteFile(file, []byte("correct horse battery\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := inHouse(t, filepath.Join(t.TempDir(), "data"), func(s *server) {
		s.SCEPChallenge = file
		c, err := s.newChallenges()
		if err != nil {
			t.Fatal(err)
		}
		if g, err := c.Check(t.Context(), "correct horse battery", handlers.Asked{}); err != nil || g.Invitation != enrollment.Default || g.Once || g.Lenient {
			t.Errorf("it grants %+v (%v)", g, err)
		}
		for _, wrong := range []string{"", "correct horse batter", "correct horse battery\n"} {
			if _, err := c.Check(t.Context(), wrong, handlers.Asked{}); err == nil {
				t.Errorf("%q lets somebody in", wrong)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A message of SCEP may come in an address of 16 kB: it is read, and refused for what it says.
func TestSCEPTakesLongAddresses(t *testing.T) {
	err := inHouse(t, filepath.Join(t.TempDir(), "data"), func(s *server) {
		web := httptest.NewUnstartedServer(s.web.Handler)
		web.Config.MaxHeaderBytes = s.web.MaxHeaderBytes
		web.Start()
		defer web.Close()
		message := base64.StdEncoding.EncodeToString(make([]byte, 12<<10)) // 16 kB of text
		resp, err := http.Get(web.URL + "/scep?operation=PKIOperation&message=" + strings.ReplaceAll(message, "+", "%2B"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("it is answered with %s", resp.Status)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

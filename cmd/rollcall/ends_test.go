package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers"
)

// A server with TLS and a signer of profiles knows when each ends, and so do its metrics.
func TestAServerKnowsWhatEnds(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	srv, err := openServer(t.Context(), settings{
		Data: data, Listen: "127.0.0.1:0", URL: "https://127.0.0.1:18999", DevTLS: true, Views: "sqlite", Identity: []string{"signature"},
		MaxBody: 8 << 20, LogFormat: "text", LogLevel: "error", Drain: time.Second,
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	kinds := func() (all []string) {
		for _, e := range srv.ends() {
			all = append(all, e.Kind)
		}
		return all
	}
	if got := kinds(); len(got) != 1 || got[0] != handlers.EndsServer {
		t.Errorf("it depends on %v, and has made a signer that nobody asked for", got)
	}
	if _, err := srv.profileSigner(); err != nil {
		t.Fatal(err)
	}
	if got := kinds(); len(got) != 2 || got[1] != handlers.EndsSigner {
		t.Errorf("it depends on %v", got)
	}
	w := httptest.NewRecorder()
	srv.web.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`rollcall_certificate_expires_seconds\{kind="server",name="CN=127.0.0.1"\} 1\.\d+e\+09`,
		`rollcall_certificate_expires_seconds\{kind="profile_signer",name="CN=Rollcall Profiles"\} \d`, `rollcall_identities_overdue 0`,
	} {
		if !regexp.MustCompile(want).MatchString(w.Body.String()) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if err := srv.close(); err != nil {
		t.Error(err)
	}
}

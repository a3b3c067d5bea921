package enroll_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Each page works without a script and for whoever cannot see it: a language, one heading of the first rank, a label for each
// field, and a policy that lets in nothing but the page's own style.
func TestPagesArePlain(t *testing.T) {
	h := build(t, organisation)
	b := h.browser()
	b.get(b.goes(b.get("/enroll/sign-in")))
	style, fields := regexp.MustCompile(`(?s)<style>(.*)</style>`), regexp.MustCompile(`<input[^>]*>`)
	for name, path := range map[string]string{
		"the first": "/enroll", "an invitation": h.link("default"), "to sign in": "/enroll/account/byod/sign-in?user-identifier=a%22%3E%3Cscript%3E@b",
		"signed in": "/enroll/signed-in", "trouble": "/enroll?code=%3Cscript%3E",
	} {
		rec := b.get(path)
		page := rec.Body.String()
		if !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") || rec.Code >= http.StatusInternalServerError {
			t.Fatalf("%s: %d %s", name, rec.Code, page)
		}
		for _, bad := range []string{"<script", "javascript:", " style=", " onclick", " onload", "http://", "<img", "autofocus"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %s: %s", name, bad, page)
			}
		}
		for _, want := range []string{`<html lang="en">`, "<main>", `name="viewport"`, "<title>"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %s", name, want)
			}
		}
		if n := strings.Count(page, "<h1>"); n != 1 {
			t.Errorf("%s has %d headings of the first rank", name, n)
		}
		for _, field := range fields.FindAllString(page, -1) {
			id := regexp.MustCompile(`id="([^"]*)"`).FindStringSubmatch(field)
			if !strings.Contains(field, `type="hidden"`) && (id == nil || !strings.Contains(page, `<label for="`+id[1]+`">`)) {
				t.Errorf("%s has a field without a label: %s", name, field)
			}
		}
		sum := sha256.Sum256([]byte(style.FindStringSubmatch(page)[1]))
		policy := rec.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") ||
			!strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: its style is not the one that the policy %s lets in", name, policy)
		}
	}
}

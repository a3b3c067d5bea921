package enroll

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// policy is what pages may do: show the one style sheet that stands in them, and send their forms here, whence a device is
// sent back into Settings. No script, no picture, nothing of others.
var policy = "default-src 'none'; style-src '" + styleHash(pageText) + "'; form-action 'self' apple-remotemanagement-user-login:; frame-ancestors 'none'; base-uri 'none'"

// styleHash is how a policy names the style sheet of a page.
func styleHash(text string) string {
	_, rest, _ := strings.Cut(text, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

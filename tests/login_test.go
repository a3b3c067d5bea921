package tests

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

var (
	nonceForm = regexp.MustCompile(`nonce="([^"]*)",realm="([^"]*)"`)
	tokenForm = regexp.MustCompile(`<key>AuthToken</key>\s*<string>([^<]*)`)
)

// login UDID/USER PASSWORD proves a network user's password as a Mac does, and prints the last answer. The
// AuthToken is left in $AUTHTOKEN.
func login(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: login UDID/USER PASSWORD")
	}
	s := ts.Value(storyKey{}).(*story)
	var challenge, answer bytes.Buffer
	if err := s.checkin(&challenge, []string{args[0], "UserAuthenticate"}); err != nil {
		ts.Fatalf("%v\n%s", err, challenge.String())
	}
	asked := nonceForm.FindStringSubmatch(html.UnescapeString(challenge.String()))
	if asked == nil {
		ts.Fatalf("there is no challenge in\n%s", challenge.String())
	}
	_, user, _ := strings.Cut(args[0], "/")
	nonce, realm := asked[1], asked[2]
	response := sum(sum(user+":"+realm+":"+args[1]) + ":" + nonce + ":" + sum("PUT:/"))
	digest := fmt.Sprintf(`Digest username="%s",realm="%s",nonce="%s",uri="/",response="%s"`, user, realm, nonce, response)
	err := s.checkin(io.MultiWriter(ts.Stdout(), &answer), []string{args[0], "UserAuthenticate", "DigestResponse=" + digest})
	if (err != nil) != neg {
		ts.Fatalf("%v\n%s", err, answer.String())
	}
	ts.Setenv("AUTHTOKEN", "")
	if token := tokenForm.FindSubmatch(answer.Bytes()); token != nil {
		ts.Setenv("AUTHTOKEN", string(token[1]))
	}
}

func sum(text string) string {
	digest := md5.Sum([]byte(text))
	return hex.EncodeToString(digest[:])
}

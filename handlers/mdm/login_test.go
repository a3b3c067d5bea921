package mdm

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// ha1 is what htdigest writes for ann, whose password is "password".
var ha1 = func() string { sum := md5.Sum([]byte("ann:school:password")); return hex.EncodeToString(sum[:]) }()

// provers is a house in which network users must prove their passwords.
func provers(t *testing.T) *house {
	return build(t, func(h *house) {
		h.door.NetworkUsers.Digests = func() (*Digests, error) {
			return ReadDigests(strings.NewReader("# users\nann:school:" + ha1 + "\n"))
		}
	})
}

// logIn runs the handshake as a Mac does, and returns the AuthToken.
func (g *guest) logIn(password string) string {
	g.t.Helper()
	var challenge struct{ DigestChallenge string }
	inside(g.t, g.say(200, "/mdm/checkin", map[string]any{"MessageType": "UserAuthenticate"}).Body.Bytes(), &challenge)
	_, after, _ := strings.Cut(challenge.DigestChallenge, `nonce="`)
	nonce, _, _ := strings.Cut(after, `"`)
	return g.prove(nonce, password)
}

func (g *guest) prove(nonce, password string) string {
	g.t.Helper()
	hex5 := func(text string) string { sum := md5.Sum([]byte(text)); return hex.EncodeToString(sum[:]) }
	response := hex5(hex5("ann:school:"+password) + ":" + nonce + ":" + hex5("PUT:/"))
	var answer struct{ AuthToken string }
	inside(g.t, g.say(200, "/mdm/checkin", map[string]any{
		"MessageType":    "UserAuthenticate",
		"DigestResponse": fmt.Sprintf(`Digest username="ann",realm="school",nonce="%s",uri="/",response="%s"`, nonce, response),
	}).Body.Bytes(), &answer)
	return answer.AuthToken
}

func inside(t testing.TB, body []byte, v any) {
	t.Helper()
	if err := plist.Unmarshal(body, v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

func TestANetworkUserProvesHisPasswordAndKeepsHisToken(t *testing.T) {
	mac := provers(t).enrolled("M1")
	ann := mac.as(map[string]any{"UDID": "M1", "UserID": "G1", "UserShortName": "ann"})
	token := map[string]any{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("t"), "PushMagic": "m"}
	with := func(keys map[string]any, authToken string) map[string]any {
		all := map[string]any{"AuthToken": authToken}
		for k, v := range keys {
			all[k] = v
		}
		return all
	}
	if got := ann.logIn("guess"); got != "" {
		t.Fatalf("a wrong password got the AuthToken %q", got)
	}
	ann.say(400, "/mdm/checkin", token)
	refused, rec := last[device.IdentityRefused](mac)
	if refused.Channel == "" || len(mac.evidence(rec)) == 0 {
		t.Errorf("the attempt is kept as %+v", refused)
	}
	first := ann.logIn("password")
	if len(first) < 40 {
		t.Fatalf("the AuthToken is %q", first)
	}
	ann.say(400, "/mdm/checkin", token)
	ann.say(400, "/mdm/checkin", with(token, "wrong"))
	ann.say(200, "/mdm/checkin", with(token, first))
	ann.say(400, "/mdm/connect", map[string]any{"Status": "Idle"})
	ann.say(200, "/mdm/connect", map[string]any{"Status": "Idle", "AuthToken": first})
	second := ann.logIn("password")
	if second == first || second == "" {
		t.Fatalf("the second login got %q", second)
	}
	ann.say(400, "/mdm/connect", map[string]any{"Status": "Idle", "AuthToken": first})
	ann.say(200, "/mdm/connect", map[string]any{"Status": "Idle", "AuthToken": second})
	mac.say(200, "/mdm/connect", map[string]any{"Status": "Idle"})
	for _, r := range mac.history() {
		if strings.Contains(string(r.Data), second) || strings.Contains(fmt.Sprintf("%+v", r.event), second) {
			t.Errorf("the AuthToken stands in %s", r.Type)
		}
	}
}

func TestAProofThatComesTooLateOrWithAnotherName(t *testing.T) {
	mac := provers(t).enrolled("M1")
	ann := mac.as(map[string]any{"UDID": "M1", "UserID": "G1", "UserShortName": "ann"})
	ann.logIn("password")
	state, _ := mac.state().Channel(device.ChannelID(mac.door.Pseudonyms.Channel("M1", "G1")))
	mac.wait(time.Hour)
	if got := ann.prove(state.Nonce, "password"); got != "" {
		t.Errorf("an hour later the proof got %q", got)
	}
	bob := mac.as(map[string]any{"UDID": "M1", "UserID": "G2", "UserShortName": "bob"})
	if got := bob.logIn("password"); got != "" {
		t.Errorf("bob with ann's password got %q", got)
	}
	ann.say(400, "/mdm/checkin", map[string]any{"MessageType": "UserAuthenticate", "DigestResponse": "Basic x"})
}

func TestNetworkUsersMayBeManagedWithoutProof(t *testing.T) {
	mac := build(t, func(h *house) { h.door.NetworkUsers.Manage = true }).enrolled("M1")
	ann := mac.as(map[string]any{"UDID": "M1", "UserID": "G1", "UserShortName": "ann"})
	w := ann.say(200, "/mdm/checkin", map[string]any{"MessageType": "UserAuthenticate"})
	var challenge struct{ DigestChallenge *string }
	if inside(t, w.Body.Bytes(), &challenge); challenge.DigestChallenge == nil || *challenge.DigestChallenge != "" {
		t.Errorf("answered %s", w.Body)
	}
	ann.say(200, "/mdm/checkin", map[string]any{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("t"), "PushMagic": "m"})
}

// Lesson 63: 410 declines for this login session only.
func TestADeclinedUserIsNotManagedUntilHeLogsInAgain(t *testing.T) {
	mac := build(t, nil).enrolled("M1")
	ann := mac.as(map[string]any{"UDID": "M1", "UserID": "G1", "UserShortName": "ann"})
	ann.say(410, "/mdm/checkin", map[string]any{"MessageType": "UserAuthenticate"})
	token := map[string]any{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("t"), "PushMagic": "m"}
	ann.say(410, "/mdm/checkin", token)
	mac.say(200, "/mdm/connect", map[string]any{"Status": "Idle"})
	mac.door.NetworkUsers.Manage = true
	ann.say(200, "/mdm/checkin", map[string]any{"MessageType": "UserAuthenticate"})
	ann.say(200, "/mdm/checkin", token)
}

func TestDigestsAreReadAsHtdigestWritesThem(t *testing.T) {
	for text, ok := range map[string]bool{
		"ann:school:" + ha1: true, "ann:school:" + ha1 + "\nbob:school:" + ha1 + "\n": true,
		"": false, "# nobody\n": false, "ann:password": false, "ann:school:short": false, "ann:a:" + ha1 + "\nbob:b:" + ha1: false,
		`ann:a"b:` + ha1: false,
	} {
		if _, err := ReadDigests(strings.NewReader(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
	d, _ := ReadDigests(strings.NewReader("Mufasa:testrealm@host.com:939e7578ed9e3c518a452acee763bce9"))
	// RFC 2617, section 3.5, but for the method: Apple's devices PUT.
	said, err := readDigest(`Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
		uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", response="` +
		md5Hex("939e7578ed9e3c518a452acee763bce9:dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:0a4f113b:auth:"+md5Hex("PUT:/dir/index.html")) + `"`)
	if err != nil || !d.right(said) {
		t.Errorf("the example of the RFC is read as %+v, %v", said, err)
	}
	for _, text := range []string{"", "Digest", "Digest x", `Digest username="a`, `Digest username="a",nonce="b"`, "Digest " + strings.Repeat("a=b,", 2000)} {
		if _, err := readDigest(text); err == nil {
			t.Errorf("%.40q is read as a digest", text)
		}
	}
}

func FuzzReadDigest(f *testing.F) {
	f.Add(`Digest username="ann",realm="school",nonce="n",uri="/",response="r"`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := readDigest(text)
		if err == nil && (d.user == "" || d.nonce == "" || d.response == "") {
			t.Errorf("%q is read as %+v", text, d)
		}
	})
}

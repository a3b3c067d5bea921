package mdm

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/evidence"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// signed sends a message of the device's with its signature, and returns the body and the header.
func (g *guest) signed(path string, keys map[string]any) (body []byte, signature string) {
	g.t.Helper()
	keys["UDID"] = g.keys["UDID"]
	body = xml(g.t, keys)
	signature = signCMS(g.t, g.id, body, signing{})
	if w := g.put(path, body, header("Mdm-Signature", signature), header("Content-Type", "application/x-apple-aspen-mdm-checkin")); w.Code != 200 {
		g.t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	return body, signature
}

// What a device has signed is kept byte for byte, with the signature and the certificate, and the signature holds.
func TestASignedMessageIsKeptAsItCame(t *testing.T) {
	g := build(t, nil).guest("SIGNED-1")
	body, signature := g.signed("/mdm/checkin", map[string]any{
		"MessageType": "Authenticate", "Topic": topic, "SerialNumber": "C02", "OSVersion": "18.1", "ProductName": "iPhone12,1",
	})
	all := g.history()
	m := g.message(all[0])
	if !bytes.Equal(m.Body, body) || m.Signature != signature || !m.Whole() || !bytes.Equal(m.Certificate, g.id.cert.Raw) ||
		!slices.Equal(m.Shown, []string{evidence.BySignature}) || m.Path != "/mdm/checkin" || m.ContentType != "application/x-apple-aspen-mdm-checkin" {
		t.Errorf("%s is kept as %+v", all[0].Type, m)
	}
	shows, err := VerifySignature(m.Signature, m.Body)
	if err != nil || !shows[0].Equal(g.id.cert) {
		t.Errorf("the kept signature does not hold: %v", err)
	}
	if _, err := VerifySignature(m.Signature, append(bytes.Clone(m.Body), ' ')); err == nil {
		t.Error("the signature holds for another body")
	}
	if len(all) > 1 && len(all[1].Evidence) > 0 {
		t.Error("the message is kept twice")
	}
	g.signed("/mdm/checkin", map[string]any{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("t"), "PushMagic": "m", "UnlockToken": []byte("CANARYUNLOCK")})
	_, r := last[device.TokenUpdated](g)
	if m := g.message(r); !bytes.Contains(m.Body, []byte("PushMagic")) || bytes.Contains(r.Evidence, []byte("PushMagic")) {
		t.Errorf("the TokenUpdate is kept as %+v", m)
	}
}

// Of messages that are not signed, the one that pins an identity is kept, with the certificate that was shown; all are
// if the door is told so.
func TestWhatIsKeptOfMessagesWithoutSignature(t *testing.T) {
	for _, all := range []bool{false, true} {
		g := build(t, func(h *house) { h.door.KeepAll = all }).guest("PLAIN-1")
		g.authenticate()
		m := g.message(g.history()[0])
		if !bytes.Contains(m.Body, []byte("Authenticate")) || !bytes.Equal(m.Certificate, g.id.cert.Raw) || !slices.Equal(m.Shown, []string{evidence.ByHeader}) || m.Signature != "" {
			t.Errorf("Authenticate is kept as %+v", m)
		}
		g.token(nil)
		if _, r := last[device.TokenUpdated](g); (len(g.evidence(r)) > 0) != all {
			t.Errorf("keep all is %v, and of the TokenUpdate %d bytes are kept", all, len(g.evidence(r)))
		}
	}
}

// A message that is refused is kept with the signature that it came with, even one that does not hold.
func TestARefusedSignatureIsKept(t *testing.T) {
	g := build(t, nil).enrolled("REFUSED-1")
	body := xml(t, map[string]any{"UDID": "REFUSED-1", "Status": "Idle"})
	other := signCMS(t, g.id, []byte("another body"), signing{})
	if w := g.put("/mdm/connect", body, header("Mdm-Signature", other)); w.Code != 400 {
		t.Fatalf("answered %d", w.Code)
	}
	kept := g.strangers()
	if len(kept) != 1 {
		t.Fatalf("%d messages are kept of strangers", len(kept))
	}
	m := g.message(kept[0])
	if !bytes.Equal(m.Body, body) || m.Signature != other || !bytes.Equal(m.Certificate, g.id.cert.Raw) {
		t.Errorf("kept as %+v", m)
	}
	for _, broken := range []string{"AAAA", "no base64", strings.Repeat("A", maxHeader+1)} {
		g.put("/mdm/connect", body, header("Mdm-Signature", broken))
		kept := g.strangers()
		if m := g.message(kept[len(kept)-1]); m.Signature != broken[:min(len(broken), maxHeader)] || len(m.Certificate) > 0 {
			t.Errorf("%.20s is kept as %.20s", broken, m.Signature)
		}
	}
}

// The proof of a password is kept nowhere: neither in what a device has signed, nor by way of its signature, in which
// stands a hash of the whole.
func TestADigestResponseIsNotKept(t *testing.T) {
	const digest = `Digest username="ada",realm="school",nonce="n",uri="/",response="CANARYRESPONSE"`
	message := map[string]any{"UDID": "LOGIN-1", "MessageType": "UserAuthenticate", "UserID": "ADA", "DigestResponse": digest}
	body := xml(t, message)
	read, err := plist.Scan(body)
	if err != nil {
		t.Fatal(err)
	}
	binary := append([]byte("bplist00"), digest...)
	strange := bytes.ReplaceAll(body, []byte("CANARYRESPONSE"), []byte("&#67;ANARYRESPONSE"))
	strange = bytes.ReplaceAll(strange, []byte("<key>DigestResponse"), []byte("<key>&#68;igestResponse"))
	cut := body[:bytes.Index(body, []byte("RESPONSE"))+3]
	for name, c := range map[string]struct {
		body    []byte
		message *plist.Dict
		stays   string
	}{
		"in XML": {body, read, "UserAuthenticate"}, "in binary": {binary, read, "bplist00"}, "written strangely": {strange, read, ""},
		"broken off": {cut, nil, "DigestResponse"},
	} {
		m := evidence.Message{Body: bytes.Clone(c.body), Size: len(c.body), Signature: "MAABAg==", Certificate: []byte{0x30}, Shown: []string{evidence.BySignature}}
		blank(&m, c.message)
		kept := evidence.Parse(m.Bytes())
		if bytes.Contains(m.Bytes(), []byte("ANARY")) || !bytes.Contains(kept.Body, []byte(c.stays)) || kept.Signature != "" || kept.Whole() ||
			!slices.Equal(kept.Blanked, []string{"DigestResponse"}) || len(kept.Certificate) == 0 {
			t.Errorf("%s: kept as %+v", name, kept)
		}
	}
	m := evidence.Message{Body: []byte("<string>DigestResponse</string>"), Signature: "MAABAg=="}
	if blank(&m, nil); m.Signature == "" || m.Blanked != nil {
		t.Errorf("who speaks of it is kept as %+v", m)
	}
}

// So it is of a login at the door, whatever is kept.
func TestALoginIsKeptWithoutItsProof(t *testing.T) {
	h := provers(t)
	h.door.KeepAll = true
	mac := h.enrolled("M2")
	ann := mac.as(map[string]any{"UDID": "M2", "UserID": "G1", "UserShortName": "ann"})
	if ann.logIn("password") == "" {
		t.Fatal("ann could not log in")
	}
	_, r := last[device.UserAuthenticated](mac)
	m := mac.message(r)
	if bytes.Contains(mac.evidence(r), []byte("response=")) || !bytes.Contains(m.Body, []byte("UserAuthenticate")) || !slices.Equal(m.Blanked, []string{"DigestResponse"}) {
		t.Errorf("the login is kept as %+v", m)
	}
}

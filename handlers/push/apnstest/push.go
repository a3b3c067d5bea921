package apnstest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxPayload is the most that a push may carry, in bytes.
const maxPayload = 4096

// A Push is a request as it came, and what was answered.
type Push struct {
	Topic      string
	Token      string // hex, as in the path
	Magic      string
	ID         string // apns-id
	Priority   string
	Expiration time.Time // zero if there was none
	Body       []byte
	At         time.Time
	Connection string // the peer's address: one for each connection
	Status     int    // 200, or of the refusal; 0 if there was no answer
	Reason     string // Apple's; empty if it was accepted
}

// refusal is an answer of Apple's that is not 200.
type refusal struct {
	status int
	reason string
}

// headers that a push may carry once.
var headers = []string{"Apns-Topic", "Apns-Push-Type", "Apns-Priority", "Apns-Expiration", "Apns-Id", "Apns-Collapse-Id"}

// read returns the push in the request, and why it would be refused. It reads no more than a push may hold. An
// error means that the connection broke.
func read(r *http.Request) (Push, *refusal, error) {
	p := Push{
		Topic: r.Header.Get("apns-topic"), ID: r.Header.Get("apns-id"), Priority: r.Header.Get("apns-priority"),
		At: time.Now(), Connection: r.RemoteAddr,
	}
	if p.ID == "" {
		p.ID = newID()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	p.Body = body
	no := p.readPath(r)
	if no == nil {
		no = p.readHeaders(r)
	}
	switch {
	case err != nil || no != nil:
	case len(body) > maxPayload:
		no = &refusal{http.StatusRequestEntityTooLarge, "PayloadTooLarge"}
	case !p.readBody():
		no = &refusal{http.StatusBadRequest, "PayloadEmpty"} // Apple has no word for a payload that says the wrong thing
	}
	return p, no, err
}

func (p *Push) readPath(r *http.Request) *refusal {
	token, ok := strings.CutPrefix(r.URL.Path, "/3/device/")
	p.Token = token
	_, err := hex.DecodeString(token)
	switch {
	case r.ProtoMajor != 2:
		return &refusal{http.StatusHTTPVersionNotSupported, "BadPath"}
	case !ok || strings.Contains(token, "/"):
		return &refusal{http.StatusNotFound, "BadPath"}
	case r.Method != http.MethodPost:
		return &refusal{http.StatusMethodNotAllowed, "MethodNotAllowed"}
	case token == "":
		return &refusal{http.StatusBadRequest, "MissingDeviceToken"}
	case err != nil:
		return &refusal{http.StatusBadRequest, "BadDeviceToken"}
	}
	return nil
}

func (p *Push) readHeaders(r *http.Request) *refusal {
	bad := func(reason string) *refusal { return &refusal{http.StatusBadRequest, reason} }
	for _, name := range headers {
		if len(r.Header.Values(name)) > 1 {
			return bad("DuplicateHeaders")
		}
	}
	allowed := topicOf(r.TLS.PeerCertificates[0])
	switch {
	case p.Topic == "":
		return bad("MissingTopic")
	case allowed == "" || !strings.HasPrefix(p.Topic, "com.apple.mgmt."):
		return bad("BadTopic")
	case p.Topic != allowed:
		return bad("TopicDisallowed")
	case r.Header.Get("apns-push-type") != "mdm":
		return bad("InvalidPushType")
	case p.Priority != "10" && p.Priority != "5" && p.Priority != "":
		return bad("BadPriority")
	case !isID(p.ID):
		return bad("BadMessageId")
	case len(r.Header.Get("apns-collapse-id")) > 64:
		return bad("BadCollapseId")
	}
	if text := r.Header.Get("apns-expiration"); text != "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds < 0 {
			return bad("BadExpirationDate")
		}
		p.Expiration = time.Unix(seconds, 0)
	}
	return nil
}

// readBody reads the magic. The payload holds nothing else: no aps, no second key.
func (p *Push) readBody() bool {
	var keys map[string]*string
	if json.Unmarshal(p.Body, &keys) != nil || len(keys) != 1 || keys["mdm"] == nil {
		return false
	}
	p.Magic = *keys["mdm"]
	return p.Magic != ""
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]))
}

func isID(s string) bool {
	groups := strings.Split(s, "-")
	plain, err := hex.DecodeString(strings.Join(groups, ""))
	return err == nil && len(plain) == 16 && len(s) == 36 && len(groups) == 5 && len(groups[0]) == 8
}

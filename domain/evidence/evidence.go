// Package evidence is what a device sent, exactly as it came, with what it showed of its identity: the form in which
// the evidence of an event is kept, before it is compressed and sealed.
package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// The ways in which a sender may have shown who it is, as Shown names them.
const (
	ByTLS       = "mtls"      // a certificate at our own TLS
	ByHeader    = "header"    // one that a trusted proxy passed on in a header
	BySignature = "signature" // the Mdm-Signature header
)

// A Message is a message as it was received. What it shows is what the sender said of itself: whether it was believed,
// the event tells.
type Message struct {
	Shown       []string // mtls, header, signature: all that the request showed; empty if it is not known
	Certificate []byte   // the certificate that was shown, DER; empty if none
	Signature   string   // the Mdm-Signature header as it came; empty if there was none
	Path        string   // to which it was sent
	ContentType string
	Size        int      // of the body as it was sent, in bytes; -1 if it was not read and did not say
	Body        []byte   // all of it, or its beginning
	Blanked     []string // keys whose values were taken out of the body, because they must not be kept
}

// Whole reports whether no byte of the body is missing.
func (m Message) Whole() bool { return m.Size == len(m.Body) && len(m.Blanked) == 0 }

// magic begins the form. No property list begins with NUL; what was kept before there was a form is a body alone.
const magic = "\x00rollcall-evidence/1\n"

// A head is the line of JSON behind the magic. Behind it stand the certificate, the signature and the body, with no
// more than their lengths to part them, so that a person can cut them out by hand.
type head struct {
	Shown       []string `json:"shown,omitempty"`
	Path        string   `json:"path,omitempty"`
	ContentType string   `json:"contentType,omitempty"`
	Size        int      `json:"size"`
	Certificate int      `json:"certificate,omitempty"`
	Signature   int      `json:"signature,omitempty"`
	Text        bool     `json:"signatureIsText,omitempty"` // it is kept as it came: no base64 as everybody writes it
	Body        int      `json:"body"`
	Blanked     []string `json:"blanked,omitempty"`
}

// Bytes returns the form in which the message is kept. The signature is kept as the bytes that its base64 stands for:
// the certificate in it is then the same run of bytes as the one before it, and costs nothing once compressed.
func (m Message) Bytes() []byte {
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	text := err != nil || base64.StdEncoding.EncodeToString(signature) != m.Signature
	if text {
		signature = []byte(m.Signature)
	}
	line, err := json.Marshal(head{
		m.Shown, m.Path, m.ContentType, m.Size, len(m.Certificate), len(signature), text, len(m.Body), m.Blanked,
	})
	if err != nil {
		line = nil // of numbers and strings: it does not fail
	}
	all := make([]byte, 0, len(magic)+len(line)+1+len(m.Certificate)+len(signature)+len(m.Body))
	all = append(append(append(all, magic...), line...), '\n')
	return append(append(append(all, m.Certificate...), signature...), m.Body...)
}

// Parse reads what is kept as the evidence of an event. What is not in the form is a body alone, as it was kept
// before there was one.
func Parse(kept []byte) Message {
	bare := Message{Size: len(kept), Body: kept}
	rest, ok := bytes.CutPrefix(kept, []byte(magic))
	if !ok {
		return bare
	}
	line, rest, ok := bytes.Cut(rest, []byte("\n"))
	var h head
	if !ok || json.Unmarshal(line, &h) != nil || min(h.Certificate, h.Signature, h.Body) < 0 ||
		max(h.Certificate, h.Signature, h.Body) > len(rest) || len(rest) != h.Certificate+h.Signature+h.Body {
		return bare
	}
	signature := string(rest[h.Certificate:][:h.Signature])
	if !h.Text {
		signature = base64.StdEncoding.EncodeToString([]byte(signature))
	}
	return Message{
		Shown: h.Shown, Certificate: rest[:h.Certificate:h.Certificate], Signature: signature,
		Path: h.Path, ContentType: h.ContentType, Size: h.Size, Body: rest[h.Certificate+h.Signature:], Blanked: h.Blanked,
	}
}

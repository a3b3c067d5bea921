package mdm

import (
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/evidence"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// maxSigned is how much of a message that was understood is kept as evidence, in bytes. A list of a thousand
// applications has some 300,000; of a longer message the beginning is kept, and its signature proves nothing then.
const maxSigned = 512 << 10

// keeping returns what the events that follow from a message keep about it: its sender always; and its exact bytes with
// what it showed of its identity if it is signed, if all is to be kept, or if it is what pins an identity.
func (d *Door) keeping(r *request, pins bool) eventstore.Meta {
	meta := r.meta()
	if d.KeepAll || pins || d.Identity.signed(r.http) {
		meta.Evidence = d.evidence(r, maxSigned)
	}
	return meta
}

// evidence returns the message as it is kept: all of it, or its beginning if it has more than most bytes.
func (d *Door) evidence(r *request, most int) []byte {
	m := evidence.Message{Path: r.http.URL.Path, ContentType: clip(r.http.Header.Get("Content-Type"), maxName), Size: r.size(), Body: r.sample(most)}
	d.Identity.shown(r.http, &m)
	blank(&m, r.message)
	return m.Bytes()
}

// signerIn returns the certificate of whoever made a signature, nil if it cannot be read.
func signerIn(signature string) (der []byte) {
	defer func() { _ = recover() }() // what parses bytes from outside must not end more than its own request
	s, err := readSignature(signature)
	if err != nil {
		return nil
	}
	return s.certificates[0].Raw
}

// VerifySignature checks a Mdm-Signature header over the exact bytes of a body, and returns the certificates in it, the
// signer's first. Whose they are, and whether anybody trusts them, is another question.
func VerifySignature(header string, body []byte) (certificates []*x509.Certificate, err error) {
	defer func() {
		if recover() != nil {
			certificates, err = nil, errors.New("the signature cannot be read")
		}
	}()
	s, err := readSignature(header)
	if err != nil {
		return nil, err
	}
	return s.certificates, s.covers(body)
}

// signed reports whether the request has a Mdm-Signature that counts here.
func (i *Identity) signed(r *http.Request) bool {
	return r.Header.Get("Mdm-Signature") != "" && slices.Contains(i.Methods, bySignature)
}

// shown adds all that a request shows of its identity, whether it is believed or not.
func (i *Identity) shown(r *http.Request, m *evidence.Message) {
	for _, method := range i.Methods {
		var certificate []byte
		name, isHeader := strings.CutPrefix(method, byHeader+":")
		switch {
		case isHeader && i.trusts(r.RemoteAddr) && r.Header.Get(name) != "":
			m.Shown = append(m.Shown, evidence.ByHeader)
			if ders, err := certificatesInHeader(r.Header.Get(name)); err == nil {
				certificate = ders[0]
			}
		case method == byTLS && r.TLS != nil && len(r.TLS.PeerCertificates) > 0:
			m.Shown = append(m.Shown, evidence.ByTLS)
			certificate = r.TLS.PeerCertificates[0].Raw
		case method == bySignature && i.signed(r):
			m.Shown = append(m.Shown, evidence.BySignature)
			m.Signature = clip(r.Header.Get("Mdm-Signature"), maxHeader)
			certificate = signerIn(m.Signature)
		}
		if m.Certificate == nil {
			m.Certificate = certificate
		}
	}
}

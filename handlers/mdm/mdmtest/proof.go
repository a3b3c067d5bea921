package mdmtest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/smallstep/pkcs7"
)

// A Way is how a device proves who it is.
type Way int

// The ways that servers of the field know.
const (
	ByTLS           Way = iota // the identity is the client's certificate in the TLS handshake
	BySignature                // Mdm-Signature: detached CMS, SHA-256, signed attributes
	BySignatureSHA1            // Mdm-Signature as Macs send it: SHA-1, no signed attributes
	ByHeader                   // a proxy passes the certificate on: PEM, query-escaped
	ByClientCert               // a proxy passes the certificate on: RFC 9440, base64 of the DER between colons
)

// A Proof says how a device proves who it is, and in which header.
type Proof struct {
	Way    Way
	Header string // of ByHeader and ByClientCert; X-Ssl-Client-Cert and Client-Cert if empty
}

// ParseProof reads mtls, signature, signature-sha1, header:NAME or rfc9440[:NAME].
func ParseProof(text string) (Proof, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch kind {
	case "mtls":
		return Proof{Way: ByTLS}, nil
	case "signature":
		return Proof{Way: BySignature}, nil
	case "signature-sha1":
		return Proof{Way: BySignatureSHA1}, nil
	case "header":
		return Proof{ByHeader, name}, nil
	case "rfc9440":
		return Proof{ByClientCert, name}, nil
	}
	return Proof{}, fmt.Errorf("%q is no way to prove an identity: use mtls, signature, signature-sha1, header:NAME or rfc9440:NAME", text)
}

// Fixed returns the header that proves the identity for every message, or two empty strings if the way has none.
func (p Proof) Fixed(id Identity) (name, value string) {
	switch p.Way {
	case ByHeader:
		return cmp.Or(p.Header, "X-Ssl-Client-Cert"), url.QueryEscape(string(id.PEM()))
	case ByClientCert:
		return cmp.Or(p.Header, "Client-Cert"), ":" + base64.StdEncoding.EncodeToString(id.Certificate.Raw) + ":"
	}
	return "", ""
}

// Signed reports whether each message needs a signature of its own.
func (p Proof) Signed() bool { return p.Way == BySignature || p.Way == BySignatureSHA1 }

// Sign returns the value of Mdm-Signature for the body.
func (p Proof) Sign(id Identity, body []byte) (string, error) {
	der, err := p.cms(id, body)
	if err != nil {
		return "", fmt.Errorf("sign a message of %s: %w", id.Certificate.Subject.CommonName, err)
	}
	return base64.StdEncoding.EncodeToString(der), nil
}

func (p Proof) cms(id Identity, body []byte) ([]byte, error) {
	data, err := pkcs7.NewSignedData(body)
	if err != nil {
		return nil, err
	}
	if p.Way == BySignatureSHA1 {
		data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1)
		err = data.SignWithoutAttr(id.Certificate, id.Key, pkcs7.SignerInfoConfig{})
	} else {
		data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		err = data.AddSigner(id.Certificate, id.Key, pkcs7.SignerInfoConfig{})
	}
	if err != nil {
		return nil, err
	}
	data.Detach()
	return data.Finish()
}

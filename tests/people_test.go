package tests

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/smallstep/pkcs7"
)

// people are a device CA and the identities it gave away, by the device's name in the story.
type people struct {
	root []byte // PEM
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	mu sync.Mutex
	by map[string]*person
}

type person struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newPeople() (*people, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cert, err := issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Story CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, key, key)
	if err != nil {
		return nil, err
	}
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return &people{root: root, cert: cert, key: key, by: map[string]*person{}}, nil
}

func issue(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// identity returns the identity that the CA gave to name. One called foreign… comes from another CA, one called
// expired… is no longer valid.
func (p *people) identity(name string) (*person, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one, ok := p.by[name]; ok {
		return one, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	parent, signer := p.cert, p.key
	switch {
	case strings.HasPrefix(name, "foreign"):
		parent, signer = nil, key
	case strings.HasPrefix(name, "expired"):
		template.NotBefore, template.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}
	cert, err := issue(template, parent, key, signer)
	if err != nil {
		return nil, err
	}
	p.by[name] = &person{cert, key}
	return p.by[name], nil
}

// A speaker is who sends a message, and how.
type speaker struct {
	id          string // UDID or UDID/USERID
	as          string // whose certificate; the device's own if empty
	by          string // mtls, signature, sha1, none, or a key of certificateHeaders or badSignatures
	method      string
	path        string
	query       string
	contentType string
	binary      bool
	chunked     bool
}

// speaker reads the flags before the words of a story's command, of which there must be at least some.
func (s *story) speaker(args []string, least int) (speaker, []string, error) {
	r := speaker{by: "header", method: http.MethodPut}
	for len(args) > 1 && args[0] != "-" && args[0][0] == '-' {
		switch args[0] {
		case "-as":
			r.as = args[1]
		case "-by":
			r.by = args[1]
		case "-method":
			r.method = args[1]
		case "-type":
			r.contentType = args[1]
		case "-query": // of the URL, as an enrolment profile may have it
			r.query = "?" + args[1]
		case "-binary", "-chunked":
			r.binary, r.chunked = r.binary || args[0] == "-binary", r.chunked || args[0] == "-chunked"
			args = args[1:]
			continue
		default:
			return r, nil, fmt.Errorf("%s is no flag", args[0])
		}
		args = args[2:]
	}
	if len(args) < least {
		return r, nil, fmt.Errorf("%d words are too few", len(args))
	}
	r.id = args[0]
	return r, args, nil
}

// request sends the body in the speaker's name and prints the status and the answer.
func (s *story) request(out io.Writer, r speaker, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), r.method, s.url+r.path+r.query, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if len(body) > 1<<20 { // ask first: who is refused before all is read may lose the answer to his own writing
		req.Header.Set("Expect", "100-continue")
	}
	if r.chunked {
		req.ContentLength = -1
	}
	if r.by == "mtls" {
		one, err := s.people.identity(r.name())
		if err != nil {
			return err
		}
		return s.do(out, client(tls.Certificate{Certificate: [][]byte{one.cert.Raw}, PrivateKey: one.key}), req)
	}
	if err := s.prove(req, r, body); err != nil {
		return err
	}
	return s.do(out, client(), req)
}

// name returns whose identity the speaker shows.
func (r speaker) name() string {
	if r.as != "" {
		return r.as
	}
	udid, _, _ := strings.Cut(r.id, "/")
	return udid
}

// prove adds the proof of identity.
func (s *story) prove(req *http.Request, r speaker, body []byte) error {
	one, err := s.people.identity(r.name())
	if err != nil {
		return err
	}
	if form, ok := certificateHeaders[r.by]; ok {
		req.Header.Set("X-Ssl-Client-Cert", form(one, s.people.root))
		return nil
	}
	if bad, ok := badSignatures[r.by]; ok {
		value, err := bad(one, body)
		req.Header.Set("Mdm-Signature", value)
		return err
	}
	switch r.by {
	case "signature", "sha1":
		signature, err := one.sign(body, r.by == "sha1")
		if err != nil {
			return err
		}
		req.Header.Set("Mdm-Signature", base64.StdEncoding.EncodeToString(signature))
	case "none":
	default:
		return fmt.Errorf("-by %s is not known", r.by)
	}
	return nil
}

func (p *person) sign(body []byte, old bool) ([]byte, error) {
	data, err := pkcs7.NewSignedData(body)
	if err != nil {
		return nil, err
	}
	if old {
		data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1)
		err = data.SignWithoutAttr(p.cert, p.key, pkcs7.SignerInfoConfig{})
	} else {
		data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		err = data.AddSigner(p.cert, p.key, pkcs7.SignerInfoConfig{})
	}
	if err != nil {
		return nil, err
	}
	data.Detach()
	return data.Finish()
}

package pushcert

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-mdm/rollcall/domain"
)

// RequestKind is the kind of the streams of requests. A stream's id is the SHA-256 of the public key that is to be
// certified (its SubjectPublicKeyInfo, DER), hex: so the certificate finds its key when it comes back.
const RequestKind = "pushrequest"

// A Request is a key that waits for its certificate, as its events tell it.
type Request struct {
	ID        string
	Applicant Applicant
	Topic     string // that is to be renewed; empty for the first
	CSR       []byte // PEM
	Key       []byte // PEM
	Made      time.Time
}

// An Applicant is in whose name a push certificate is asked for.
type Applicant struct {
	CommonName string
	Email      string // may be empty
	Country    string // two letters; may be empty
}

// A Requested says that a key was made, and a request to certify it (PKCS #10). The key never leaves the server.
type Requested struct {
	ID         string
	Topic      string `json:",omitempty"` // that is to be renewed
	Country    string `json:",omitempty"`
	CommonName string `seal:"personal" json:",omitempty"`
	Email      string `seal:"personal" json:",omitempty"`
	CSR        []byte `seal:"personal" json:",omitempty"` // PEM
	Key        []byte `seal:"secret" json:",omitempty"`   // PEM
}

// EventType returns the stored name.
func (Requested) EventType() string { return "pushcert.requested" }

// Ask makes a request to certify a key (RSA 2048), signed with SHA-256, as Apple's portal wants it.
func Ask(a Applicant, topic string, key *rsa.PrivateKey) (Requested, error) {
	if err := a.check(); err != nil {
		return Requested{}, err
	}
	if topic != "" && !strings.HasPrefix(topic, topicPrefix) {
		return Requested{}, domain.Refusef(domain.Invalid, "the topic of a push certificate begins with %s", topicPrefix)
	}
	// PKCS #1 v1.5 needs no chance.
	der, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{
		Subject: a.name(), SignatureAlgorithm: x509.SHA256WithRSA,
	}, key)
	if err != nil {
		return Requested{}, fmt.Errorf("make a certificate request: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Requested{}, errors.New("the key cannot be written")
	}
	id, err := KeyID(key.Public())
	return Requested{
		ID: id, Topic: topic, Country: a.Country, CommonName: a.CommonName, Email: a.Email, CSR: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
	}, err
}

// KeyID names a public key: the SHA-256 of its SubjectPublicKeyInfo, hex.
func KeyID(public crypto.PublicKey) (string, error) {
	// PKCS #1 v1.5 needs no chance.
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", domain.Refusef(domain.Invalid, "the certificate's key is of a kind that cannot be used")
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

const maxName = 64 // characters of a common name. Source: RFC 5280, upper bounds

func (a Applicant) check() error {
	switch {
	case a.CommonName == "" || len([]rune(a.CommonName)) > maxName || strings.ContainsFunc(a.CommonName, unicode.IsControl):
		return domain.Refusef(domain.Invalid, "say in whose name: a common name of 1 to %d characters, such as the organisation's", maxName)
	case a.Email != "" && (len(a.Email) > 255 || !strings.Contains(a.Email, "@") || strings.ContainsFunc(a.Email, func(r rune) bool { return r <= ' ' || r > '~' })):
		return domain.Refusef(domain.Invalid, "%q is no address of mail in plain letters", a.Email)
	case a.Country != "" && (len(a.Country) != 2 || strings.ContainsFunc(a.Country, func(r rune) bool { return r < 'A' || r > 'Z' })):
		return domain.Refusef(domain.Invalid, "a country is two capital letters, such as DE")
	}
	return nil
}

// emailAddress is the attribute of a name. Source: RFC 2985.
var emailAddress = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

func (a Applicant) name() pkix.Name {
	n := pkix.Name{CommonName: a.CommonName}
	if a.Country != "" {
		n.Country = []string{a.Country}
	}
	if a.Email != "" {
		n.ExtraNames = []pkix.AttributeTypeAndValue{{Type: emailAddress, Value: asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(a.Email)}}}
	}
	return n
}

// Make decides what follows when a request was made.
func (r Request) Make(made Requested) ([]domain.Event, error) {
	if r.ID != "" {
		return nil, domain.Refusef(domain.Conflict, "this key has been made already")
	}
	return []domain.Event{made}, nil
}

// Evolve returns the request after e.
func (r Request) Evolve(e domain.Event, at time.Time) Request {
	if e, is := e.(Requested); is {
		r = Request{ID: e.ID, Applicant: Applicant{e.CommonName, e.Email, e.Country}, Topic: e.Topic, CSR: e.CSR, Key: e.Key, Made: at}
	}
	return r
}

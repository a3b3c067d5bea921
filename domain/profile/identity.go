package profile

import (
	"crypto/sha1"
	"net/url"

	"github.com/rollcall-mdm/rollcall/domain"
)

// An Identity is how a device comes by the certificate that it shows: a SCEP, an ACME or a PKCS12.
type Identity interface {
	keys(plainHTTP bool) (payloadType string, keys Values, err error)
}

// A Subject is a certificate's name: pairs of a type (C, L, ST, O, OU, CN or a dotted OID) and a value, in order. A
// name that the server gave to the enrolment comes back with every message of the device.
type Subject [][2]string

func (s Subject) values() ([]any, error) {
	names := make([]any, len(s))
	for i, pair := range s {
		if pair[0] == "" || pair[1] == "" {
			return nil, invalid("a subject's names have a type and a value")
		}
		names[i] = []any{[]any{pair[0], pair[1]}}
	}
	return names, nil
}

// A SCEP has the device make an RSA key of 2048 bits or more, and a certificate authority sign it. Source: Apple, "SCEP" payload.
type SCEP struct {
	URL       string
	Name      string // the authority's, sent with GetCACert; may be empty
	Subject   Subject
	Challenge string // a secret: what the authority knows the enrolment by
	CA        []byte // the authority's certificate, in DER: needed if URL is http and the server's are not
	KeySize   int    // in bits: 2048 if 0, or 4096
	Retries   int    // Apple's 3 if 0
}

func (s SCEP) keys(plainHTTP bool) (string, Values, error) {
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", nil, invalid("the SCEP payload's URL must be a whole http or https URL")
	case u.Scheme == "http" && len(s.CA) == 0 && !plainHTTP:
		return "", nil, domain.WithHint(invalid("a device asked to use SCEP over http must know the authority"), "give the authority's certificate, or an https URL")
	case s.KeySize != 0 && s.KeySize != 2048 && s.KeySize != 4096:
		return "", nil, invalid("Keysize is 2048 or 4096")
	case len(s.Subject) == 0:
		return "", nil, invalid("the SCEP payload needs a Subject: a constant one would be the same for all devices")
	}
	subject, err := s.Subject.values()
	if err != nil {
		return "", nil, err
	}
	keys := Values{"URL": s.URL, "Subject": subject, "Keysize": max(s.KeySize, 2048), "Key Type": "RSA", "Key Usage": 5}
	put(keys, "Name", s.Name)
	put(keys, "Challenge", s.Challenge)
	put(keys, "Retries", s.Retries)
	if len(s.CA) > 0 {
		sum := sha1.Sum(s.CA) // Apple takes MD5 or SHA-1
		keys["CAFingerprint"] = sum[:]
	}
	return TypeSCEP, Values{"PayloadContent": keys}, nil
}

// An ACME has the device get its certificate by device-attest-01. iOS 16, macOS 13.1, tvOS 16, visionOS 1, watchOS 9.
// Source: Apple, "ACMECertificate" payload.
type ACME struct {
	DirectoryURL     string // https
	ClientIdentifier string // the permanent-identifier of the order: good once
	Subject          Subject
	Attest           bool // the key lives in the hardware, and Apple attests it; otherwise it is one that software keeps
}

// Hardware keeps keys of these alone; RSA is for the rest.
const (
	hardwareKeyType = "ECSECPrimeRandom"
	hardwareKeySize = 384
)

func (a ACME) keys(plainHTTP bool) (string, Values, error) {
	if err := checkURL("DirectoryURL", a.DirectoryURL, plainHTTP); err != nil {
		return "", nil, err
	}
	if a.ClientIdentifier == "" || len(a.Subject) == 0 {
		return "", nil, invalid("the ACME payload needs a ClientIdentifier and a Subject")
	}
	subject, err := a.Subject.values()
	if err != nil {
		return "", nil, err
	}
	keys := Values{
		"DirectoryURL": a.DirectoryURL, "ClientIdentifier": a.ClientIdentifier, "Subject": subject, "HardwareBound": a.Attest,
		"KeyType": "RSA", "KeySize": 2048, "UsageFlags": 5,
	}
	if a.Attest {
		keys["Attest"], keys["KeyType"], keys["KeySize"], keys["UsageFlags"] = true, hardwareKeyType, hardwareKeySize, 1
	}
	return TypeACME, keys, nil
}

// A PKCS12 brings a key and a certificate that the server made: it has held the key, so SCEP and ACME are better.
// Source: Apple, "CertificatePKCS12" payload.
type PKCS12 struct {
	Content  []byte
	Password string // a secret; Content is sealed by it
	FileName string // may be empty
}

func (p PKCS12) keys(bool) (string, Values, error) {
	if len(p.Content) == 0 || p.Password == "" {
		return "", nil, invalid("the PKCS#12 payload needs its content and its password")
	}
	keys := Values{"PayloadContent": p.Content, "Password": p.Password}
	put(keys, "PayloadCertificateFileName", p.FileName)
	return TypePKCS12, keys, nil
}

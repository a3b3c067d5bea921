package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" // devices sign messages with SHA-1 to this day
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
)

// What is signed and how, by name. Source: RFC 5652, RFC 3370, RFC 5754.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
)

// digests are the hashes that a signer may name. SHA-1 covers a message under TLS here, nothing that lasts.
var digests = map[string]crypto.Hash{
	"1.3.14.3.2.26":          crypto.SHA1,
	"2.16.840.1.101.3.4.2.1": crypto.SHA256,
	"2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512,
}

// A scheme is a way to sign: with which sort of key, and over which hash. No hash means: the digest's.
type scheme struct {
	ecdsa bool
	hash  crypto.Hash
}

var schemes = map[string]scheme{
	"1.2.840.113549.1.1.1":  {},
	"1.2.840.113549.1.1.5":  {hash: crypto.SHA1},
	"1.2.840.113549.1.1.11": {hash: crypto.SHA256},
	"1.2.840.113549.1.1.12": {hash: crypto.SHA384},
	"1.2.840.113549.1.1.13": {hash: crypto.SHA512},
	"1.2.840.10045.2.1":     {ecdsa: true},
	"1.2.840.10045.4.1":     {ecdsa: true, hash: crypto.SHA1},
	"1.2.840.10045.4.3.2":   {ecdsa: true, hash: crypto.SHA256},
	"1.2.840.10045.4.3.3":   {ecdsa: true, hash: crypto.SHA384},
	"1.2.840.10045.4.3.4":   {ecdsa: true, hash: crypto.SHA512},
}

// The parts of a CMS message that a signature needs. Source: RFC 5652, sections 3 and 5.
type (
	signedInfo struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version      int
		Digests      asn1.RawValue
		Content      encapsulated
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
		Revocations  asn1.RawValue `asn1:"optional,tag:1"`
		Signers      []signerInfo  `asn1:"set"`
	}
	encapsulated struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signerInfo struct {
		Version    int
		ID         asn1.RawValue // issuer and serial number, or a subject key identifier
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue `asn1:"optional,tag:0"`
		Scheme     pkix.AlgorithmIdentifier
		Signature  []byte
		Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
	}
	signerName struct {
		Issuer asn1.RawValue
		Serial asn1.RawValue
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
)

// A Signature is a signed message that has been read. Nothing in it is to be trusted yet.
type Signature struct {
	Certificates []*x509.Certificate // the signer's first
	Content      []byte              // what the message holds; nil if the signature is detached
	signer       signerInfo
}

// ReadSignature reads a signed message of one signer, whose certificate it holds: BER or DER, its content in it or not.
func ReadSignature(ber []byte) (Signature, error) {
	signed, err := parseSignedData(ber)
	if err != nil {
		return Signature{}, err
	}
	certificates, err := x509.ParseCertificates(signed.Certificates.Bytes)
	if err != nil {
		return Signature{}, errors.New("the signature's certificates cannot be read")
	}
	signer := signed.Signers[0]
	at := slices.IndexFunc(certificates, signer.names)
	if at < 0 {
		return Signature{}, errors.New("the signer's certificate is not in the signature")
	}
	certificates[0], certificates[at] = certificates[at], certificates[0]
	s := Signature{Certificates: certificates, signer: signer}
	if len(signed.Content.Content.FullBytes) > 0 {
		s.Content = []byte{}
		if rest, err := asn1.Unmarshal(signed.Content.Content.Bytes, &s.Content); err != nil || len(rest) > 0 {
			return Signature{}, errors.New("what was signed cannot be read")
		}
	}
	return s, nil
}

// Covers checks the signature over the exact bytes of a body. Whom the signer's certificate chains to is not asked.
func (s Signature) Covers(body []byte) error { return s.signer.verify(s.Certificates[0], body) }

// parseSignedData reads a signed message of one signer.
func parseSignedData(ber []byte) (signedData, error) {
	der, err := DER(ber)
	if err != nil {
		return signedData{}, err
	}
	var info signedInfo
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 {
		return signedData{}, errors.New("the signature is no CMS message")
	}
	signed := info.Content
	switch {
	case !info.Type.Equal(oidSignedData) || !signed.Content.Type.Equal(oidData):
		return signedData{}, errors.New("the signature is not one of plain data")
	case len(signed.Signers) != 1:
		return signedData{}, fmt.Errorf("the signature has %d signers, not one", len(signed.Signers))
	}
	return signed, nil
}

// names reports whether the signer says that this is its certificate.
func (s signerInfo) names(c *x509.Certificate) bool {
	if s.ID.Class == asn1.ClassContextSpecific && s.ID.Tag == 0 {
		return len(s.ID.Bytes) > 0 && bytes.Equal(s.ID.Bytes, c.SubjectKeyId)
	}
	var id signerName
	if rest, err := asn1.Unmarshal(s.ID.FullBytes, &id); err != nil || len(rest) > 0 {
		return false
	}
	serial, err := asn1.Marshal(c.SerialNumber)
	return err == nil && bytes.Equal(id.Issuer.FullBytes, c.RawIssuer) && bytes.Equal(id.Serial.FullBytes, serial)
}

// verify checks the signature over the body, or over attributes that bind the body.
func (s signerInfo) verify(c *x509.Certificate, body []byte) error {
	hash, known := digests[s.Digest.Algorithm.String()]
	if !known {
		return errors.New("the signature's digest is not one we know")
	}
	signed := body
	if len(s.Attributes.FullBytes) > 0 {
		var err error
		if signed, err = boundAttributes(s.Attributes.Bytes, sum(hash, body)); err != nil {
			return err
		}
	}
	how, known := schemes[s.Scheme.Algorithm.String()]
	if !known || how.hash != 0 && how.hash != hash {
		return errors.New("the signature's algorithm is not one we know, or does not fit its digest")
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if !how.ecdsa && rsa.VerifyPKCS1v15(key, hash, sum(hash, signed), s.Signature) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		if how.ecdsa && ecdsa.VerifyASN1(key, sum(hash, signed), s.Signature) {
			return nil
		}
	}
	return errors.New("the signature does not fit the message")
}

// boundAttributes checks that signed attributes speak of plain data with this digest, and returns the bytes that
// the signature covers: the attributes as a DER SET OF. A signing time is the signer's own word: it is not read.
func boundAttributes(content, digest []byte) ([]byte, error) {
	var all [][]byte
	seen := map[string]asn1.RawValue{}
	for rest := content; len(rest) > 0; {
		var a attribute
		after, err := asn1.Unmarshal(rest, &a)
		if err != nil {
			return nil, errors.New("the signature's attributes cannot be read")
		}
		name := a.Type.String()
		if _, twice := seen[name]; twice || len(a.Values) != 1 {
			return nil, errors.New("the signature has an attribute that is not given once")
		}
		seen[name] = a.Values[0]
		all = append(all, rest[:len(rest)-len(after)])
		rest = after
	}
	var kind asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(seen[oidContentType.String()].FullBytes, &kind); err != nil || len(rest) > 0 || !kind.Equal(oidData) {
		return nil, errors.New("the signature's attributes do not speak of plain data")
	}
	var bound []byte
	if rest, err := asn1.Unmarshal(seen[oidMessageDigest.String()].FullBytes, &bound); err != nil || len(rest) > 0 || !bytes.Equal(bound, digest) {
		return nil, errors.New("the signature's digest is not the message's")
	}
	slices.SortFunc(all, bytes.Compare)
	return append(AppendHeader(nil, 0x31, len(content)), bytes.Join(all, nil)...), nil
}

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

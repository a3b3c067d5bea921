package cms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
)

// SignedBy reports whether a certificate was signed by the key of another, which may sign certificates and has the name of
// its issuer. How long either is good for is not asked, and SHA-1 is taken: the certificates that Apple's devices are built
// with are old.
func SignedBy(c, issuer *x509.Certificate) bool {
	if !bytes.Equal(c.RawIssuer, issuer.RawSubject) || !issuer.BasicConstraintsValid || !issuer.IsCA {
		return false
	}
	var form struct {
		Signed    asn1.RawValue
		Algorithm struct {
			Algorithm  asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Signature asn1.BitString
	}
	if rest, err := asn1.Unmarshal(c.Raw, &form); err != nil || len(rest) > 0 {
		return false
	}
	how, known := schemes[form.Algorithm.Algorithm.String()]
	if !known || how.hash == 0 {
		return false
	}
	digest := sum(how.hash, c.RawTBSCertificate)
	switch key := issuer.PublicKey.(type) {
	case *rsa.PublicKey:
		return !how.ecdsa && rsa.VerifyPKCS1v15(key, how.hash, digest, c.Signature) == nil
	case *ecdsa.PublicKey:
		return how.ecdsa && ecdsa.VerifyASN1(key, digest, c.Signature)
	}
	return false
}

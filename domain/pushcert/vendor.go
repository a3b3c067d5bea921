package pushcert

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A PortalRequest is what Apple's Push Certificates Portal takes: somebody's certificate request, and an MDM vendor's word
// for it. Its fields are the keys of a property list. Source: Apple, "Setting up push notifications for your MDM customers".
type PortalRequest struct {
	PushCertRequestCSR       string // the request, DER, base64 in one line
	PushCertCertificateChain string // PEM: the vendor's certificate, Apple's intermediate, Apple's root
	PushCertSignature        string // RSA PKCS #1 v1.5 with SHA-256 over the request's DER, base64 in one line
}

// A Vendor signs certificate requests: the chain of an MDM Vendor CSR Signing Certificate, up to the root, and its key.
type Vendor struct {
	chain []*x509.Certificate
	key   *rsa.PrivateKey
}

// ReadVendor reads the vendor's chain and key from PEM, in any order. The portal refuses a chain that has a hole without
// saying so: it is refused here, with the name of what is missing.
func ReadVendor(text []byte, at time.Time) (Vendor, error) {
	all, signer, err := blocks(text)
	if err != nil {
		return Vendor{}, err
	}
	key, isRSA := signer.(*rsa.PrivateKey)
	switch {
	case len(all) == 0:
		return Vendor{}, domain.Refusef(domain.Invalid, "there is no certificate in PEM")
	case !isRSA:
		return Vendor{}, domain.Refusef(domain.Invalid, "the vendor's RSA key is missing")
	}
	all, fits := leafFirst(all, key)
	if !fits {
		return Vendor{}, domain.Refusef(domain.Invalid, "the private key is not the vendor certificate's")
	}
	chain := []*x509.Certificate{all[0]}
	for last := all[0]; !selfSigned(last); {
		issuer := issuerOf(last, all)
		if issuer == nil || len(chain) > len(all) {
			return Vendor{}, domain.WithHint(domain.Refusef(domain.Invalid, "the chain is not complete: the certificate of %q is missing", last.Issuer.String()),
				"add Apple's intermediate (Worldwide Developer Relations, the generation that issued the vendor's certificate) and Apple's root")
		}
		chain, last = append(chain, issuer), issuer
	}
	for _, c := range chain {
		if at.After(c.NotAfter) {
			return Vendor{}, domain.Refusef(domain.Invalid, "the certificate %q has expired on %s", c.Subject.String(), c.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	return Vendor{chain, key}, nil
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawSubject) == string(c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func issuerOf(c *x509.Certificate, all []*x509.Certificate) *x509.Certificate {
	for _, other := range all {
		if other != c && string(other.RawSubject) == string(c.RawIssuer) && other.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil {
			return other
		}
	}
	return nil
}

// Sign vouches for a certificate request, PEM or DER.
func (v Vendor) Sign(csr []byte) (PortalRequest, error) {
	der := csr
	if block, _ := pem.Decode(csr); block != nil {
		if block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" {
			return PortalRequest{}, domain.Refusef(domain.Invalid, "the file holds a %s and not a certificate request", block.Type)
		}
		der = block.Bytes
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil || request.CheckSignature() != nil {
		return PortalRequest{}, domain.Refusef(domain.Invalid, "the certificate request cannot be read, or its own signature is wrong")
	}
	if public, is := request.PublicKey.(*rsa.PublicKey); !is || public.N.BitLen() < 2048 {
		return PortalRequest{}, domain.Refusef(domain.Invalid, "the request is for a key that is no RSA key of 2048 bits at least")
	}
	sum := sha256.Sum256(der)
	signature, err := rsa.SignPKCS1v15(nil, v.key, crypto.SHA256, sum[:])
	if err != nil {
		return PortalRequest{}, fmt.Errorf("sign the request: %w", err)
	}
	return PortalRequest{
		PushCertRequestCSR: base64.StdEncoding.EncodeToString(der), PushCertCertificateChain: string(encode(v.chain)),
		PushCertSignature: base64.StdEncoding.EncodeToString(signature),
	}, nil
}

package cms

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"
)

// A Signer is who signs what people are asked to install.
type Signer struct {
	Chain []*x509.Certificate // its own certificate, then that of who issued it, and so on
	Key   crypto.PrivateKey   // RSA or ECDSA
}

// Sign returns the content in a SignedData message, in DER: attached, with SHA-256, and with the whole chain. Source: RFC 5652.
func (s *Signer) Sign(content []byte) ([]byte, error) {
	if len(s.Chain) == 0 {
		return nil, errors.New("sign a profile: the signer has no certificate")
	}
	message, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, fmt.Errorf("sign a profile: %w", err)
	}
	message.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := message.AddSigner(s.Chain[0], s.Key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("sign a profile: %w", err)
	}
	for _, c := range s.Chain[1:] {
		message.AddCertificate(c)
	}
	der, err := message.Finish()
	if err != nil {
		return nil, fmt.Errorf("sign a profile: %w", err)
	}
	return der, nil
}

// maxSigned is the longest signed message that is read, in bytes.
const maxSigned = 4 << 20

// Signed reports whether something looks like a signed message: DER or BER, and no text.
func Signed(b []byte) bool { return bytes.HasPrefix(b, []byte{0x30}) }

// Content returns what a signed message holds and who signed it: the only signer, whose signature covers the content. Whom
// its certificate chains to is not asked, nor how long it is good for.
func Content(message []byte) (content []byte, signer *x509.Certificate, err error) {
	defer func() {
		if recover() != nil { // what parses bytes from outside must not end more than its own request
			content, signer, err = nil, nil, errors.New("the message cannot be read")
		}
	}()
	if len(message) > maxSigned {
		return nil, nil, fmt.Errorf("the message is longer than %d bytes", maxSigned)
	}
	der, err := DER(message)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := pkcs7.Parse(der)
	if err != nil {
		return nil, nil, fmt.Errorf("the message is no CMS: %w", err)
	}
	if signer = parsed.GetOnlySigner(); signer == nil {
		return nil, nil, errors.New("the message is not signed by exactly one whose certificate it holds")
	}
	if err := parsed.Verify(); err != nil {
		return nil, nil, fmt.Errorf("the signature does not fit the message: %w", err)
	}
	return parsed.Content, signer, nil
}

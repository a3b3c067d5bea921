package mdm

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	guard "github.com/rollcall-mdm/rollcall/handlers/cms"
)

// maxHeader is the most that Mdm-Signature or a certificate header may hold, in bytes. Real signatures have 2,000.
const maxHeader = 16 << 10

// A signature is a Mdm-Signature header that has been read. Nothing in it is to be trusted yet.
type signature struct {
	signed       guard.Signature
	certificates []*x509.Certificate // the signer's first
}

// readSignature reads a Mdm-Signature header.
func readSignature(header string) (signature, error) {
	if len(header) > maxHeader {
		return signature{}, fmt.Errorf("the signature is longer than %d bytes", maxHeader)
	}
	ber, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return signature{}, errors.New("the signature is not base64")
	}
	signed, err := guard.ReadSignature(ber)
	switch {
	case err != nil:
		return signature{}, err
	case signed.Content != nil:
		return signature{}, errors.New("the signature is not detached")
	}
	return signature{signed, signed.Certificates}, nil
}

// covers checks the signature over the exact bytes of a body.
func (s signature) covers(body []byte) error { return s.signed.Covers(body) }

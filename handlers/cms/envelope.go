// Package cms reads CMS messages that devices and people send, behind a guard that bounds what the parser has to digest, and
// makes those that devices read: signed, enciphered, or a key with its certificate (PKCS#12).
package cms

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"

	"github.com/smallstep/pkcs7"
)

// maxEnvelope is the longest message that is read, in bytes. A recovery key makes one of some 700.
const maxEnvelope = 64 << 10

// ErrNotOurs says that a message is encrypted for somebody else.
var ErrNotOurs = errors.New("the message is encrypted for another certificate")

// A Recipient is who can open messages that are encrypted for a certificate.
type Recipient struct {
	Certificate *x509.Certificate
	Key         crypto.PrivateKey // RSA
}

// Open returns what an EnvelopedData message holds, for the first of the recipients that it is encrypted for. ErrNotOurs:
// for none of them. The content's length is bounded by the message's.
func Open(message []byte, recipients ...Recipient) (content []byte, err error) {
	defer func() {
		if recover() != nil { // what parses bytes from outside must not end more than its own request
			content, err = nil, errors.New("the message cannot be read")
		}
	}()
	named, der, err := addressees(message)
	if err != nil {
		return nil, err
	}
	for _, r := range recipients {
		for _, name := range named {
			if name.serial.Cmp(r.Certificate.SerialNumber) != 0 || string(name.issuer) != string(r.Certificate.RawIssuer) {
				continue
			}
			parsed, err := pkcs7.Parse(der)
			if err != nil {
				return nil, fmt.Errorf("the message is no CMS: %w", err)
			}
			return parsed.Decrypt(r.Certificate, r.Key)
		}
	}
	return nil, ErrNotOurs
}

// SerialOf returns the serial number, in hex, of the certificate that a message is encrypted for; empty if it cannot be
// read, or is encrypted for several.
func SerialOf(message []byte) string {
	named, _, err := addressees(message)
	if err != nil || len(named) != 1 {
		return ""
	}
	return hex.EncodeToString(named[0].serial.Bytes())
}

// An addressee is whom a message is encrypted for.
type addressee struct {
	issuer []byte // DER
	serial *big.Int
}

// envelopedData is the beginning of RFC 5652's EnvelopedData. What follows is left to the library.
type envelopedData struct {
	Version        int
	RecipientInfos []struct {
		Version               int
		IssuerAndSerialNumber struct {
			Issuer asn1.RawValue
			Serial *big.Int
		}
		KeyEncryptionAlgorithm asn1.RawValue
		EncryptedKey           []byte
	} `asn1:"set"`
	EncryptedContentInfo asn1.RawValue
}

var envelopedOID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 3}

// addressees reads for whom a message is encrypted, and its DER form.
func addressees(message []byte) ([]addressee, []byte, error) {
	if len(message) > maxEnvelope {
		return nil, nil, fmt.Errorf("the message is longer than %d bytes", maxEnvelope)
	}
	der, err := DER(message)
	if err != nil {
		return nil, nil, err
	}
	var info struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	var data envelopedData
	if rest, err := asn1.Unmarshal(der, &info); err != nil || len(rest) > 0 || !info.Type.Equal(envelopedOID) {
		return nil, nil, errors.New("the message is no CMS envelope")
	}
	if _, err := asn1.Unmarshal(info.Content.Bytes, &data); err != nil {
		return nil, nil, errors.New("the message is no CMS envelope that is addressed to a certificate")
	}
	named := make([]addressee, len(data.RecipientInfos))
	for i, r := range data.RecipientInfos {
		named[i] = addressee{r.IssuerAndSerialNumber.Issuer.FullBytes, r.IssuerAndSerialNumber.Serial}
	}
	return named, der, nil
}

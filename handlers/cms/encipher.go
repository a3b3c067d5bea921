package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// Names of what a message is enciphered with. Source: RFC 5652, RFC 3370, RFC 3565.
var (
	dataOID   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	rsaOID    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	aes256OID = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42} // CBC
)

// The parts of an EnvelopedData message, as they are written. Source: RFC 5652, section 6.
type (
	enveloped struct {
		Version    int
		Recipients []keyTransport `asn1:"set"`
		Content    enciphered
	}
	keyTransport struct {
		Version   int
		Whom      issuerAndSerial
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	enciphered struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Content   asn1.RawValue
	}
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content any `asn1:"explicit,tag:0"`
	}
)

// Encipher returns the content in an EnvelopedData message, in DER, that each of the recipients can open: AES-256 in CBC,
// its key by RSA. All certificates must have RSA keys.
//
// It is written here because the library chooses its cipher by a variable that the whole process shares.
func Encipher(content []byte, recipients ...*x509.Certificate) ([]byte, error) {
	if len(recipients) == 0 {
		return nil, errors.New("encipher a message: it is for nobody")
	}
	key, iv := make([]byte, 32), make([]byte, aes.BlockSize)
	_, _ = rand.Read(key) // never fails
	_, _ = rand.Read(iv)
	message := enveloped{Content: enciphered{Type: dataOID}}
	for _, c := range recipients {
		r, err := transport(key, c)
		if err != nil {
			return nil, err
		}
		message.Recipients = append(message.Recipients, r)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	short := aes.BlockSize - len(content)%aes.BlockSize
	text := append(bytes.Clone(content), bytes.Repeat([]byte{byte(short)}, short)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	parameter, err := asn1.Marshal(iv)
	if err != nil {
		return nil, err
	}
	message.Content.Algorithm = pkix.AlgorithmIdentifier{Algorithm: aes256OID, Parameters: asn1.RawValue{FullBytes: parameter}}
	message.Content.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: text}
	return asn1.Marshal(contentInfo{envelopedOID, message})
}

// transport enciphers the content's key for one recipient.
func transport(key []byte, c *x509.Certificate) (keyTransport, error) {
	public, is := c.PublicKey.(*rsa.PublicKey)
	if !is {
		return keyTransport{}, fmt.Errorf("encipher a message: the recipient's key is no RSA key but %T", c.PublicKey)
	}
	//lint:ignore SA1019 devices open no other: this is RFC 5652's key transport, as RFC 3370 has it
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, public, key)
	if err != nil {
		return keyTransport{}, fmt.Errorf("encipher a message's key: %w", err)
	}
	whom := issuerAndSerial{asn1.RawValue{FullBytes: c.RawIssuer}, c.SerialNumber}
	return keyTransport{0, whom, pkix.AlgorithmIdentifier{Algorithm: rsaOID, Parameters: asn1.NullRawValue}, sealed}, nil
}

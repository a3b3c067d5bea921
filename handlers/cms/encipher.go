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

// rsaOID names RSA as the way by which a message's key comes. Source: RFC 3370.
var rsaOID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}

// A Cipher is what the content of a message is enciphered with, in CBC.
type Cipher struct {
	OID asn1.ObjectIdentifier
	Key int // how long its key is, in bytes
	New func(key []byte) (cipher.Block, error)
}

// AES256 is what all of today know. Source: RFC 3565.
func AES256() Cipher {
	return Cipher{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32, aes.NewCipher}
}

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

// Encipher returns the content in an EnvelopedData message, in DER, that each of the recipients can open: the cipher's key
// comes by RSA. All certificates must have RSA keys.
//
// It is written here because the library chooses its cipher by a variable that the whole process shares.
func (c Cipher) Encipher(content []byte, recipients ...*x509.Certificate) ([]byte, error) {
	if len(recipients) == 0 {
		return nil, errors.New("encipher a message: it is for nobody")
	}
	key := make([]byte, c.Key)
	_, _ = rand.Read(key) // never fails
	message := enveloped{Content: enciphered{Type: oidData}}
	for _, to := range recipients {
		r, err := transport(key, to)
		if err != nil {
			return nil, err
		}
		message.Recipients = append(message.Recipients, r)
	}
	block, err := c.New(key)
	if err != nil {
		return nil, err
	}
	iv := make([]byte, block.BlockSize())
	_, _ = rand.Read(iv)
	short := len(iv) - len(content)%len(iv)
	text := append(bytes.Clone(content), bytes.Repeat([]byte{byte(short)}, short)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	parameter, err := asn1.Marshal(iv)
	if err != nil {
		return nil, err
	}
	message.Content.Algorithm = pkix.AlgorithmIdentifier{Algorithm: c.OID, Parameters: asn1.RawValue{FullBytes: parameter}}
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

//lint:file-ignore SA1019 SCEP knows no other padding than that of PKCS #1 v1.5 that all its clients know

package scep

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" // for clients that know nothing else, if they are let in
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"github.com/rollcall-mdm/rollcall/handlers"
)

// digests are the hashes that clients may sign with, by object identifier.
var digests = map[string]struct{ old bool }{
	pkcs7.OIDDigestAlgorithmSHA1.String():   {old: true},
	pkcs7.OIDDigestAlgorithmSHA256.String(): {},
	pkcs7.OIDDigestAlgorithmSHA384.String(): {},
	pkcs7.OIDDigestAlgorithmSHA512.String(): {},
}

// A block is a cipher that clients may use. The answer comes in the same, or in reply's.
type block struct {
	old   bool
	key   int // bytes
	reply asn1.ObjectIdentifier
	make  func([]byte) (cipher.Block, error)
}

// ciphers are those that clients may encrypt with, by object identifier.
var ciphers = map[string]block{
	pkcs7.OIDEncryptionAlgorithmAES128CBC.String():  {key: 16, make: aes.NewCipher},
	pkcs7.OIDEncryptionAlgorithmAES256CBC.String():  {key: 32, make: aes.NewCipher},
	pkcs7.OIDEncryptionAlgorithmAES128GCM.String():  {key: 16, make: aes.NewCipher, reply: pkcs7.OIDEncryptionAlgorithmAES128CBC},
	pkcs7.OIDEncryptionAlgorithmAES256GCM.String():  {key: 32, make: aes.NewCipher, reply: pkcs7.OIDEncryptionAlgorithmAES256CBC},
	pkcs7.OIDEncryptionAlgorithmDESEDE3CBC.String(): {old: true, key: 24, make: des.NewTripleDESCipher},
	pkcs7.OIDEncryptionAlgorithmDESCBC.String():     {old: true, key: 8, make: des.NewCipher},
}

// success returns the answer that brings a certificate, encrypted for whoever has signed the message.
func (m *message) success(root handlers.Root, certificate *x509.Certificate) ([]byte, error) {
	content, err := scep.DegenerateCertificates([]*x509.Certificate{certificate})
	if err != nil {
		return nil, fmt.Errorf("put a certificate into an answer: %w", err)
	}
	sealed, err := envelop(content, m.signer, m.cipher)
	if err != nil {
		return nil, err
	}
	return m.reply(root, sealed, certificate, pkcs7.Attribute{Type: oidStatus, Value: scep.SUCCESS})
}

// failure returns the answer that refuses.
func (m *message) failure(root handlers.Root, info scep.FailInfo) ([]byte, error) {
	return m.reply(root, nil, nil, pkcs7.Attribute{Type: oidStatus, Value: scep.FAILURE}, pkcs7.Attribute{Type: oidFailInfo, Value: info})
}

// reply signs an answer to the message. The issued certificate stands first in it: some clients look for it there.
func (m *message) reply(root handlers.Root, content []byte, first *x509.Certificate, says ...pkcs7.Attribute) ([]byte, error) {
	signed, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, fmt.Errorf("make an answer: %w", err)
	}
	if _, known := digests[m.digest.String()]; known {
		signed.SetDigestAlgorithm(m.digest)
	} else {
		signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	}
	if first != nil {
		signed.AddCertificate(first)
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	says = append(says,
		pkcs7.Attribute{Type: oidTransaction, Value: m.transaction}, pkcs7.Attribute{Type: oidMessageType, Value: scep.CertRep},
		pkcs7.Attribute{Type: oidSenderNonce, Value: nonce}, pkcs7.Attribute{Type: oidRecipientNonce, Value: m.nonce})
	if err := signed.AddSigner(root.Certificate, crypto.PrivateKey(root.Key), pkcs7.SignerInfoConfig{ExtraSignedAttributes: says}); err != nil {
		return nil, fmt.Errorf("sign an answer: %w", err)
	}
	return signed.Finish()
}

// The parts of a CMS message that is encrypted for one RSA key. Source: RFC 5652, 6.1; RFC 3370, 4.2.1.
type (
	envelope struct {
		Type    asn1.ObjectIdentifier
		Content envelopedData `asn1:"explicit,tag:0"`
	}
	envelopedData struct {
		Version    int
		Recipients []recipient `asn1:"set"`
		Content    encrypted
	}
	recipient struct {
		Version int
		ID      struct {
			Issuer asn1.RawValue
			Serial *big.Int
		}
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	encrypted struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Content   []byte `asn1:"tag:0"`
	}
)

// envelop encrypts content for the key in a certificate, with the cipher that its holder knows.
func envelop(content []byte, to *x509.Certificate, with asn1.ObjectIdentifier) ([]byte, error) {
	public, ok := to.PublicKey.(*rsa.PublicKey)
	b, known := ciphers[with.String()]
	if !ok || !known {
		return nil, errors.New("an answer can only be encrypted for an RSA key, with a cipher that is known")
	}
	if b.reply != nil {
		with = b.reply
	}
	key := make([]byte, b.key)
	_, _ = rand.Read(key) // never fails
	block, err := b.make(key)
	if err != nil {
		return nil, err
	}
	iv := make([]byte, block.BlockSize())
	_, _ = rand.Read(iv) // never fails
	padded := pad(content, block.BlockSize())
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	wrapped, err := rsa.EncryptPKCS1v15(rand.Reader, public, key)
	if err != nil {
		return nil, fmt.Errorf("encrypt an answer: %w", err)
	}
	r := recipient{Algorithm: pkix.AlgorithmIdentifier{Algorithm: pkcs7.OIDEncryptionAlgorithmRSA, Parameters: asn1.NullRawValue}, Key: wrapped}
	r.ID.Issuer.FullBytes, r.ID.Serial = to.RawIssuer, to.SerialNumber
	return asn1.Marshal(envelope{pkcs7.OIDEnvelopedData, envelopedData{Recipients: []recipient{r}, Content: encrypted{
		pkcs7.OIDData, pkix.AlgorithmIdentifier{Algorithm: with, Parameters: asn1.RawValue{Tag: asn1.TagOctetString, Bytes: iv}}, padded}}})
}

// pad returns content filled up to whole blocks, each byte of the filling its length.
func pad(content []byte, size int) []byte {
	n := size - len(content)%size
	padded := make([]byte, len(content)+n)
	copy(padded, content)
	for i := len(content); i < len(padded); i++ {
		padded[i] = byte(n)
	}
	return padded
}

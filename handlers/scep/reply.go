package scep

import (
	"crypto"
	"crypto/aes"
	"crypto/des" // for clients that know nothing else, if they are let in
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"github.com/rollcall-mdm/rollcall/handlers"
	guard "github.com/rollcall-mdm/rollcall/handlers/cms"
)

// digests are the hashes that clients may sign with, by object identifier.
var digests = map[string]struct{ old bool }{
	pkcs7.OIDDigestAlgorithmSHA1.String():   {old: true},
	pkcs7.OIDDigestAlgorithmSHA256.String(): {},
	pkcs7.OIDDigestAlgorithmSHA384.String(): {},
	pkcs7.OIDDigestAlgorithmSHA512.String(): {},
}

// A taken cipher is one that clients may use, and is answered with itself; with CBC where it is GCM.
type taken struct {
	guard.Cipher
	old bool
}

// ciphers are those that clients may encrypt with, by object identifier.
var ciphers = map[string]taken{
	pkcs7.OIDEncryptionAlgorithmAES128CBC.String():  {Cipher: aes128},
	pkcs7.OIDEncryptionAlgorithmAES128GCM.String():  {Cipher: aes128},
	pkcs7.OIDEncryptionAlgorithmAES256CBC.String():  {Cipher: guard.AES256()},
	pkcs7.OIDEncryptionAlgorithmAES256GCM.String():  {Cipher: guard.AES256()},
	pkcs7.OIDEncryptionAlgorithmDESEDE3CBC.String(): {guard.Cipher{OID: pkcs7.OIDEncryptionAlgorithmDESEDE3CBC, Key: 24, New: des.NewTripleDESCipher}, true},
	pkcs7.OIDEncryptionAlgorithmDESCBC.String():     {guard.Cipher{OID: pkcs7.OIDEncryptionAlgorithmDESCBC, Key: 8, New: des.NewCipher}, true},
}

var aes128 = guard.Cipher{OID: pkcs7.OIDEncryptionAlgorithmAES128CBC, Key: 16, New: aes.NewCipher}

// success returns the answer that brings a certificate, encrypted for whoever has signed the message.
func (m *message) success(root handlers.Root, certificate *x509.Certificate) ([]byte, error) {
	content, err := scep.DegenerateCertificates([]*x509.Certificate{certificate})
	if err != nil {
		return nil, fmt.Errorf("put a certificate into an answer: %w", err)
	}
	sealed, err := ciphers[m.cipher.String()].Encipher(content, m.signer)
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

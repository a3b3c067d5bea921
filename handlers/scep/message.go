//lint:file-ignore SA1019 SCEP knows no other padding than that of PKCS #1 v1.5 that all its clients know

package scep

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"github.com/rollcall-mdm/rollcall/handlers"
	guard "github.com/rollcall-mdm/rollcall/handlers/cms"
)

// Attributes of a SCEP message. Source: RFC 8894, 3.2.1.
var (
	oidMessageType    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 2}
	oidStatus         = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 3}
	oidFailInfo       = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 4}
	oidSenderNonce    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 5}
	oidRecipientNonce = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 6}
	oidTransaction    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}
)

// How long what a client names itself may be, in bytes: it comes back in the answer.
const (
	maxTransaction = 256
	maxNonce       = 64
)

// A message is one that was read. Its signature holds; whether its signer is anybody is another question.
type message struct {
	parsed      *pkcs7.PKCS7
	der         []byte
	signer      *x509.Certificate
	kind        scep.MessageType
	transaction string
	nonce       []byte
	digest      asn1.ObjectIdentifier // of the signature
	cipher      asn1.ObjectIdentifier // of the request in it; nil if it cannot be told
	old         bool                  // one of them is DES, Triple-DES or SHA-1

	csr       *x509.CertificateRequest // once it is open
	challenge string
}

// read reads a message and checks its signature. It decrypts nothing. With an error it returns the message if it can be
// answered.
func read(raw []byte) (m *message, err error) {
	defer func() {
		if recover() != nil { // what parses bytes from outside must not end more than its own request
			m, err = nil, refuse(scep.BadMessageCheck, "malformed", "the message cannot be read")
		}
	}()
	der, err := guard.DER(raw)
	if err != nil {
		return nil, refuse(scep.BadMessageCheck, "malformed", "the message cannot be read: %v", err)
	}
	parsed, err := pkcs7.Parse(der)
	if err != nil || len(parsed.Signers) != 1 || parsed.GetOnlySigner() == nil {
		return nil, refuse(scep.BadMessageCheck, "malformed", "the message is not one that one client has signed")
	}
	m = &message{parsed: parsed, der: der, signer: parsed.GetOnlySigner(), digest: parsed.Signers[0].DigestAlgorithm.Algorithm}
	var kind string
	for oid, into := range map[*asn1.ObjectIdentifier]any{&oidMessageType: &kind, &oidTransaction: &m.transaction, &oidSenderNonce: &m.nonce} {
		if parsed.UnmarshalSignedAttribute(*oid, into) != nil {
			return nil, refuse(scep.BadMessageCheck, "malformed", "the message lacks its type, its transaction or its nonce")
		}
	}
	if len(m.transaction) == 0 || len(m.transaction) > maxTransaction || len(m.nonce) == 0 || len(m.nonce) > maxNonce {
		return nil, refuse(scep.BadMessageCheck, "malformed", "the message's transaction or nonce is empty, or too long")
	}
	m.kind = scep.MessageType(kind)
	if err := parsed.Verify(); err != nil {
		return m, refuse(scep.BadMessageCheck, "bad-signature", "the message's signature does not hold")
	}
	m.cipher = cipherOf(parsed.Content)
	return m, nil
}

// cipherOf returns with what the request in a message is encrypted; nil if that cannot be read.
func cipherOf(content []byte) asn1.ObjectIdentifier {
	der, err := guard.DER(content)
	if err != nil {
		return nil
	}
	var envelope struct {
		Type    asn1.ObjectIdentifier
		Content struct {
			Version    int
			Recipients asn1.RawValue
			Content    struct {
				Type      asn1.ObjectIdentifier
				Algorithm pkix.AlgorithmIdentifier
				Content   asn1.RawValue `asn1:"optional,tag:0"`
			}
		} `asn1:"explicit,tag:0"`
	}
	if rest, err := asn1.Unmarshal(der, &envelope); err != nil || len(rest) > 0 {
		return nil
	}
	return envelope.Content.Content.Algorithm.Algorithm
}

// check refuses, before anything is decrypted, messages of kinds that are not taken, and notes whether the client knows only
// old algorithms.
func (m *message) check() error {
	if m.kind != scep.PKCSReq && m.kind != scep.RenewalReq {
		return refuse(scep.BadRequest, "unknown-message", "messages of this type are not taken")
	}
	digest, known := digests[m.digest.String()]
	if !known {
		return refuse(scep.BadAlg, "bad-algorithm", "the message is signed with a digest that is not taken")
	}
	cipher, known := ciphers[m.cipher.String()]
	if !known {
		return refuse(scep.BadAlg, "bad-algorithm", "the request is encrypted with a cipher that is not taken")
	}
	if _, ok := m.signer.PublicKey.(*rsa.PublicKey); !ok {
		return refuse(scep.BadAlg, "bad-key", "the answer can only be encrypted for an RSA key")
	}
	m.old = digest.old || cipher.old
	return nil
}

// errOld refuses a client that knows only DES, Triple-DES or SHA-1.
func errOld() error {
	return refuse(scep.BadAlg, "old-algorithm", "the client knows only DES, Triple-DES or SHA-1: see --scep-legacy")
}

// open decrypts the request with a root's key, and checks that it was made by whoever holds the key in it. Who signs the
// message around it is another matter: some clients make a key for that alone.
func (m *message) open(root handlers.Root) (err error) {
	unreadable := refuse(scep.BadMessageCheck, "unreadable", "the request in the message cannot be opened")
	defer func() {
		if recover() != nil {
			err = unreadable
		}
	}()
	key, ok := root.Key.(crypto.Decrypter)
	if !ok {
		return unreadable
	}
	whole, err := scep.ParsePKIMessage(m.der)
	if err != nil {
		return unreadable
	}
	if err := whole.DecryptPKIEnvelope(root.Certificate, discreet{key, ciphers[m.cipher.String()].Key}); err != nil || whole.CSR == nil {
		return unreadable // never why: whoever is told learns to read what others sent
	}
	if whole.CSR.CheckSignature() != nil {
		return refuse(scep.BadMessageCheck, "unreadable", "the request is not signed with the key in it")
	}
	m.csr, m.challenge = whole.CSR, whole.ChallengePassword
	return nil
}

// A discreet key opens what is encrypted for it, or gives a random answer in the same time: whoever sends it garbage does
// not learn whether that was padded well.
type discreet struct {
	crypto.Decrypter
	size int // of the key in the message, in bytes
}

// Decrypt fulfils crypto.Decrypter.
func (d discreet) Decrypt(_ io.Reader, message []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if _, plain := opts.(*rsa.PKCS1v15DecryptOptions); plain && d.size > 0 {
		opts = &rsa.PKCS1v15DecryptOptions{SessionKeyLen: d.size}
	}
	return d.Decrypter.Decrypt(rand.Reader, message, opts)
}

package mdmtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"
	"github.com/smallstep/scep/x509util"
	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/handlers/cms"
)

// A device comes in by a profile, as real ones do: it makes a key, has it certified by SCEP, and checks in where the
// profile's MDM payload says.

// EnrolBy installs an enrolment profile, signed or not: the device gets an identity by the SCEP or ACME payload, takes its
// server from the MDM payload, and enrols.
func (d *Device) EnrolBy(ctx context.Context, profile []byte) error {
	content, err := payloads(profile, d.Identity)
	if err != nil {
		return err
	}
	mdm := content["com.apple.mdm"]
	if d.Identity, err = d.identityOf(ctx, content, mdm["IdentityCertificateUUID"]); err != nil {
		return err
	}
	d.Server.Topic, _ = mdm["Topic"].(string)
	d.Server.Connect, _ = mdm["ServerURL"].(string)
	if d.Server.CheckIn, _ = mdm["CheckInURL"].(string); d.Server.CheckIn == "" {
		d.Server.CheckIn = d.Server.Connect
	}
	if d.Wire == nil {
		d.Wire = &Direct{}
	}
	return d.Enrol(ctx)
}

// identityOf gets the identity that the payload with this UUID brings.
func (d *Device) identityOf(ctx context.Context, content map[string]dict, uuid any) (Identity, error) {
	switch bySCEP, byACME, within := content["com.apple.security.scep"], content["com.apple.security.acme"], content["com.apple.security.pkcs12"]; {
	case uuid == nil:
		return Identity{}, errors.New("the profile has no MDM payload with an identity")
	case bySCEP != nil && bySCEP["PayloadUUID"] == uuid:
		return identityBySCEP(ctx, bySCEP, d.NewKey)
	case byACME != nil && byACME["PayloadUUID"] == uuid:
		return d.identityByACME(ctx, byACME)
	case within != nil && within["PayloadUUID"] == uuid:
		return identityWithin(within)
	}
	return Identity{}, errors.New("the profile's identity is none that the device knows how to get")
}

// decipher opens what was enciphered for one of the identities.
func decipher(message []byte, has []Identity) ([]byte, error) {
	for _, id := range has {
		if id.Certificate != nil {
			return cms.Open(message, cms.Recipient{Certificate: id.Certificate, Key: id.Key})
		}
	}
	return nil, errors.New("it is for an identity that the device does not have")
}

// identityWithin returns the identity that a profile brings.
func identityWithin(payload dict) (Identity, error) {
	file, _ := payload["PayloadContent"].([]byte)
	password, _ := payload["Password"].(string)
	key, certificate, err := cms.OpenPKCS12(file, password)
	return Identity{Certificate: certificate, Key: key}, err
}

// IdentityBy installs a profile that brings a SCEP identity and nothing else.
func IdentityBy(ctx context.Context, profile []byte) (Identity, error) {
	content, err := payloads(profile)
	if err != nil {
		return Identity{}, err
	}
	return identityBySCEP(ctx, content["com.apple.security.scep"], nil)
}

// IdentityFor is IdentityBy for a key that is there already, so that whoever got no answer can ask again.
func IdentityFor(ctx context.Context, profile []byte, key *rsa.PrivateKey) (Identity, error) {
	content, err := payloads(profile)
	if err != nil {
		return Identity{}, err
	}
	return identityBySCEP(ctx, content["com.apple.security.scep"], func() (*rsa.PrivateKey, error) { return key, nil })
}

// payloads returns a profile's payloads by their types. Those that are enciphered are for the identity that the device has by then.
func payloads(profile []byte, has ...Identity) (map[string]dict, error) {
	if bytes.HasPrefix(profile, []byte{0x30}) {
		message, err := pkcs7.Parse(profile)
		if err == nil {
			err = message.Verify()
		}
		if err != nil {
			return nil, fmt.Errorf("read a signed profile: %w", err)
		}
		profile = message.Content
	}
	var whole struct {
		PayloadContent          []dict
		EncryptedPayloadContent []byte
	}
	if _, err := plist.Unmarshal(profile, &whole); err != nil {
		return nil, fmt.Errorf("read a profile: %w", err)
	}
	if len(whole.EncryptedPayloadContent) > 0 {
		text, err := decipher(whole.EncryptedPayloadContent, has)
		if err == nil {
			_, err = plist.Unmarshal(text, &whole.PayloadContent)
		}
		if err != nil {
			return nil, fmt.Errorf("read an enciphered profile: %w", err)
		}
	}
	found := map[string]dict{}
	for _, p := range whole.PayloadContent {
		kind, _ := p["PayloadType"].(string)
		found[kind] = p
	}
	return found, nil
}

// identityBySCEP makes a key and has it certified. Source: RFC 8894.
func identityBySCEP(ctx context.Context, payload dict, newKey func() (*rsa.PrivateKey, error)) (Identity, error) {
	keys, _ := payload["PayloadContent"].(map[string]any)
	address, _ := keys["URL"].(string)
	challenge, _ := keys["Challenge"].(string)
	if address == "" {
		return Identity{}, errors.New("the profile has no SCEP payload")
	}
	return certify(ctx, address, challenge, nil, newKey)
}

// RenewBySCEP has another key certified, without a challenge: the certificate that is to be followed vouches for it.
func RenewBySCEP(ctx context.Context, address string, old Identity) (Identity, error) {
	return certify(ctx, address, "", &old, nil)
}

// certify makes a key and has it certified, by a challenge or by the identity that it follows.
func certify(ctx context.Context, address, challenge string, old *Identity, newKey func() (*rsa.PrivateKey, error)) (Identity, error) {
	ca, err := ask(ctx, http.MethodGet, address, "GetCACert", nil)
	if err != nil {
		return Identity{}, err
	}
	roots, err := scep.CACerts(ca)
	if err != nil {
		one, single := x509.ParseCertificate(ca)
		if roots = []*x509.Certificate{one}; single != nil {
			return Identity{}, fmt.Errorf("read the authority's certificate: %w", err)
		}
	}
	if newKey == nil {
		newKey = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }
	}
	key, err := newKey()
	if err != nil {
		return Identity{}, err
	}
	kind, by := scep.PKCSReq, old
	if old != nil {
		kind = scep.RenewalReq
	} else if by, err = selfSigned(key); err != nil {
		return Identity{}, err
	}
	request, err := request(kind, key, challenge, *by, roots)
	if err != nil {
		return Identity{}, err
	}
	body, err := ask(ctx, http.MethodPost, address, "PKIOperation", request.Raw)
	if err != nil {
		return Identity{}, err
	}
	answer, err := scep.ParsePKIMessage(body, scep.WithCACerts(roots))
	switch {
	case err != nil:
		return Identity{}, fmt.Errorf("read SCEP's answer: %w", err)
	case answer.PKIStatus != scep.SUCCESS:
		return Identity{}, fmt.Errorf("SCEP refuses the request: %s", answer.FailInfo)
	}
	if err := answer.DecryptPKIEnvelope(by.Certificate, by.Key.(*rsa.PrivateKey)); err != nil {
		return Identity{}, fmt.Errorf("open SCEP's answer: %w", err)
	}
	return Identity{Certificate: answer.CertRepMessage.Certificate, Key: key}, nil
}

// modern has the library encipher with AES and sign with SHA-256: left alone it takes DES and SHA-1, as no device does today.
var modern = sync.OnceValue(func() error {
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC
	return pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
})

// selfSigned returns the certificate with which a key speaks that has none yet.
func selfSigned(key *rsa.PrivateKey) (*Identity, error) {
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "device"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	return &Identity{Certificate: c, Key: key}, err
}

// request makes a message with a request for the key in it, signed by an identity, for which the answer is enciphered.
func request(kind scep.MessageType, key *rsa.PrivateKey, challenge string, by Identity, roots []*x509.Certificate) (*scep.PKIMessage, error) {
	if err := modern(); err != nil {
		return nil, err
	}
	der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
		CertificateRequest: x509.CertificateRequest{Subject: pkix.Name{CommonName: "device"}}, ChallengePassword: challenge,
	}, key)
	if err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	signer, isRSA := by.Key.(*rsa.PrivateKey)
	if !isRSA {
		return nil, errors.New("SCEP wants an RSA key")
	}
	return scep.NewCSRRequest(csr, &scep.PKIMessage{MessageType: kind, Recipients: roots, SignerKey: signer, SignerCert: by.Certificate})
}

// ask sends one of SCEP's operations and returns the answer's body.
func ask(ctx context.Context, method, address, operation string, body []byte) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Set("operation", operation)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, errors.Join(err, fmt.Errorf("SCEP's %s is answered with %s", operation, resp.Status))
	}
	return text, nil
}

// MachineInfo returns what the device tells of itself before it is managed, and more, signed by an identity: that with
// which it was built, or one that it got on its way.
func (d *Device) MachineInfo(by Identity, more map[string]any) ([]byte, error) {
	about := dict{"UDID": d.UDID, "SERIAL": d.SerialNumber, "PRODUCT": d.ProductName, "VERSION": d.BuildVersion, "OS_VERSION": d.OSVersion, "LANGUAGE": "en"}
	for key, value := range more {
		about[key] = value
	}
	body, err := plist.Marshal(about, plist.XMLFormat)
	if err != nil {
		return nil, err
	}
	message, err := pkcs7.NewSignedData(body)
	if err != nil {
		return nil, err
	}
	message.SetDigestAlgorithm(asn1.ObjectIdentifier(pkcs7.OIDDigestAlgorithmSHA256))
	if err := message.AddSigner(by.Certificate, by.Key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	return message.Finish()
}

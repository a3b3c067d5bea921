package acme

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"

	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// finalize gives the key in a request its certificate, if the order was answered, and for this key.
func (d *Door) finalize(c *call) error {
	o, err := d.ordered(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	answer, found, err := d.Authority.Answered(ctx, o.Ticket, o.ID)
	switch {
	case err != nil:
		return err
	case !found && d.ended(o):
		return errEnded()
	case !found:
		return wrong(notReady, http.StatusForbidden, "the order's challenge has not been answered")
	}
	csr, err := readRequest(c)
	if err != nil {
		return err
	}
	key, err := handlers.PublicKeyID(csr.PublicKey)
	if err != nil {
		return told(err, badKey, http.StatusBadRequest)
	}
	if answer.Attested != nil && answer.PublicKey != key {
		return wrong(badCSR, http.StatusBadRequest, "the request is for another key than the one that was attested")
	}
	if err := d.give(c, o, csr, key, answer); err != nil {
		return err
	}
	object, err := d.object(o)
	if err == nil {
		object.Status = valid
		object.Certificate, err = d.given(c, o, key)
	}
	if err != nil {
		return err
	}
	own, err := d.address(orderPath, o)
	if err != nil {
		return err
	}
	c.location(own)
	return c.JSON(http.StatusOK, object)
}

// readRequest reads the request for a certificate.
func readRequest(c *call) (*x509.CertificateRequest, error) {
	var brings struct {
		CSR string `json:"csr"`
	}
	if err := c.payloadInto(&brings); err != nil {
		return nil, err
	}
	der, err := base64.RawURLEncoding.DecodeString(brings.CSR)
	if err != nil || len(der) == 0 {
		return nil, wrong(badCSR, http.StatusBadRequest, "csr is not base64 for addresses")
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || csr.CheckSignature() != nil {
		return nil, wrong(badCSR, http.StatusBadRequest, "the request for a certificate cannot be read, or is not signed with its key")
	}
	return csr, nil
}

// give issues the certificate.
func (d *Door) give(c *call, o order, csr *x509.CertificateRequest, key string, answer challenge.Answered) error {
	ctx := c.Request().Context()
	if held, err := d.Authority.Holds(ctx, key, o.Ticket); err != nil {
		return err
	} else if held.Certificate == nil && d.ended(o) {
		return errEnded()
	}
	grant, err := d.Challenges.Check(ctx, o.Identifier, handlers.Asked{PublicKey: key, Name: csr.Subject.CommonName, Address: c.RealIP()})
	if err != nil {
		return told(err, unauthorized, http.StatusForbidden)
	}
	grant.Attested, grant.Requester = answer.Attested, o.Requester
	_, err = d.Authority.Issue(ctx, csr.PublicKey, grant, c.meta(grant.Device))
	return told(err, unauthorized, http.StatusForbidden)
}

// A held is a certificate as its address holds it.
type held struct {
	Requester   string `json:"r"`
	Key         string `json:"k"`
	Fingerprint string `json:"f"`
}

// given returns the address of the certificate that a key has by an order's identifier; empty if it has none.
func (d *Door) given(c *call, o order, key string) (string, error) {
	has, err := d.Authority.Holds(c.Request().Context(), key, o.Ticket)
	if err != nil || has.Certificate == nil {
		return "", err
	}
	text, err := d.seals.seal(chainPath, held{o.Requester, key, has.Fingerprint})
	return d.URL + chainPath + text, err
}

// chain gives out a certificate and the root that has issued it, PEM.
func (d *Door) chain(c *call) error {
	if err := c.asks(); err != nil {
		return err
	}
	var wants held
	if d.seals.open(chainPath, c.Param("at"), &wants) != nil {
		return wrong(malformed, http.StatusNotFound, "there is nothing at this address")
	}
	if wants.Requester != c.requester {
		return wrong(unauthorized, http.StatusForbidden, "the certificate was ordered by another account")
	}
	has, err := d.Authority.Holds(c.Request().Context(), wants.Key, "")
	if err != nil {
		return err
	}
	if has.Fingerprint != wants.Fingerprint {
		return wrong(malformed, http.StatusNotFound, "the key has another certificate meanwhile: its order tells where")
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: has.Certificate})
	if one, err := x509.ParseCertificate(has.Certificate); err == nil {
		for _, r := range d.Authority.Standing().Roots {
			if root, err := x509.ParseCertificate(r.Certificate); err == nil && one.CheckSignatureFrom(root) == nil {
				text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})...)
			}
		}
	}
	return c.Blob(http.StatusOK, chainType, text)
}

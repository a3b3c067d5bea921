package acme

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"

	"github.com/go-jose/go-jose/v4"

	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
)

// revoke has a certificate believed no longer, because its key or the account that has ordered it says so.
func (d *Door) revoke(c *call) error {
	var wish struct {
		Certificate string `json:"certificate"`
		Reason      int    `json:"reason"`
	}
	if err := c.payloadInto(&wish); err != nil {
		return err
	}
	because, valid := reason(wish.Reason)
	if !valid {
		return wrong(badReason, http.StatusBadRequest, "no certificate is revoked for this reason: take 0, 1, 3, 4, 5 or 9")
	}
	der, err := base64.RawURLEncoding.DecodeString(wish.Certificate)
	if err != nil {
		return errMalformed("certificate is not base64 for addresses")
	}
	one, err := x509.ParseCertificate(der)
	if err != nil {
		return errMalformed("the certificate cannot be read")
	}
	known, err := d.Authority.Requested(c.Request().Context(), one)
	if err != nil {
		return told(err, malformed, http.StatusNotFound)
	}
	if !c.mayRevoke(one, known) {
		return wrong(unauthorized, http.StatusForbidden, "only the certificate's key and the account that has ordered it revoke it here; administrators do so by other means")
	}
	done, err := d.Authority.GiveUp(c.Request().Context(), one, because, c.meta(known.Device))
	if err != nil {
		return err
	}
	if !done {
		return wrong(alreadyRevoked, http.StatusBadRequest, "the certificate was revoked before")
	}
	return c.NoContent(http.StatusOK)
}

func (c *call) mayRevoke(one *x509.Certificate, known certificate.Certificate) bool {
	if c.account {
		return known.Requester != "" && known.Requester == c.requester
	}
	return sameKey(jose.JSONWebKey{Key: one.PublicKey}, c.key)
}

// reason returns a reason's name by its number. Source: RFC 5280, 5.3.1.
func reason(number int) (name string, valid bool) {
	for name, n := range authority.Reasons() {
		if n == number {
			return name, true
		}
	}
	return "", false
}

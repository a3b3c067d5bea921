package handlers

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
)

// given makes the payload that brings a device its key and its certificate, both made here, for devices and programs that cannot ask for
// one. The invitation is used when the profile is made, not when it is installed; the certificate is good for one device.
func (e *Enrolments) given(ctx context.Context, p Pass) (profile.Identity, error) {
	if e.Authority == nil {
		return nil, domain.WithHint(domain.Refusef(domain.Conflict, "this server issues no identities"), "leave ?identity= away: devices ask for theirs where --scep-url or --acme-url says")
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	ticket := make([]byte, 16)
	_, _ = rand.Read(ticket) // never fails
	grant := Grant{By: hex.EncodeToString(ticket), Invitation: p.Invitation, Road: p.Road, Device: p.Device, Order: p.Order}
	c, err := e.Authority.Issue(ctx, key.Public(), grant, eventstore.Meta{Actor: actorOf(ctx), Correlation: RequestFrom(ctx)})
	if err != nil {
		return nil, err
	}
	var above []*x509.Certificate
	for _, root := range e.Authority.Roots() {
		if c.CheckSignatureFrom(root.Certificate) == nil {
			above = append(above, root.Certificate)
		}
	}
	file, password, err := cms.PKCS12(key, c, above)
	return profile.PKCS12{Content: file, Password: password}, err
}

// actorOf is whoever asks, or the server.
func actorOf(ctx context.Context) eventstore.Actor {
	if who, known := CallerFrom(ctx); known {
		return who.Actor()
	}
	return server.Actor
}

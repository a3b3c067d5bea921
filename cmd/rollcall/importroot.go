package main

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// Import keeps a root of somebody's own in the directory, and has it issue from now on. The text is its certificate and its
// key, PEM, in any order.
func (r roller) Import(ctx context.Context, who handlers.Caller, text []byte) (eventstore.Position, error) {
	if err := who.Administer(); err != nil {
		return 0, err
	}
	root, err := rootIn(text)
	if err == nil {
		err = handlers.CheckRoot(root.Certificate, r.s.now())
	}
	if err != nil {
		return 0, err
	}
	if err := r.s.alone(ctx, func() error { return keepRoot(r.s.path(rootName(root.Certificate)), root) }); err != nil {
		return 0, err
	}
	return r.s.authority.Install(ctx, who, root, authority.Imported)
}

// rootIn reads a root and its key. Of several certificates the one counts that the key is for.
func rootIn(text []byte) (root handlers.Root, err error) {
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return root, domain.Refusef(domain.Invalid, "the certificate cannot be read")
			}
			all = append(all, c)
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return root, domain.WithHint(domain.Refusef(domain.Invalid, "the key has a password"), "take it away: openssl pkey -in key.pem -out plain.pem")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if root.Key, err = anyKey(block.Bytes); err != nil {
				return root, domain.Refusef(domain.Invalid, "the key cannot be read")
			}
		}
	}
	key, isRSA := root.Key.(*rsa.PrivateKey)
	switch {
	case len(all) == 0 || root.Key == nil:
		return root, domain.WithHint(domain.Refusef(domain.Invalid, "a root is its certificate and its key"), "give both, PEM: rollcall ca import root.pem root.key")
	case !isRSA || key.N.BitLen() < 2048:
		return root, domain.WithHint(domain.Refusef(domain.Invalid, "the root's key must be RSA with 2048 bits or more"), "SCEP encrypts for it, and knows no other kind")
	}
	for _, c := range all {
		if public, is := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); is && public.Equal(key.Public()) {
			root.Certificate = c
			return root, nil
		}
	}
	return root, domain.WithHint(domain.Refusef(domain.Invalid, "the key is not the certificate's"), "take the key with which the certificate was made")
}

package handlers

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
)

// How long a revocation list is given out before it is made anew, and how long it may be believed.
const (
	crlFresh = time.Hour
	crlHolds = 7 * 24 * time.Hour
)

// A crl is a revocation list that was made.
type crl struct {
	version int64
	made    time.Time
	der     []byte
}

// RevocationList returns the list (DER) of what a root has issued and was revoked since, until it would have expired. The root
// is named by its fingerprint; the issuing one if empty. Lists are numbered upwards, also over restarts.
func (a *Authority) RevocationList(fingerprint string) ([]byte, error) {
	s := a.state.Load()
	root, err := a.issuing()
	if fingerprint != "" {
		root, err = a.root(fingerprint)
	}
	if err != nil {
		return nil, err
	}
	fingerprint = Fingerprint(root.Certificate)
	now := a.Now().UTC().Truncate(time.Second)
	if kept, ok := a.lists.Load(fingerprint); ok {
		if c := kept.(*crl); c.version == s.version && !now.Before(c.made) && now.Sub(c.made) < crlFresh {
			return c.der, nil
		}
	}
	number := new(big.Int).Lsh(big.NewInt(s.version+1), 40)
	list := &x509.RevocationList{
		Number: number.Add(number, big.NewInt(now.Unix())), ThisUpdate: now, NextUpdate: now.Add(crlHolds),
		RevokedCertificateEntries: entries(s.Authority, fingerprint, now),
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, root.Certificate, root.Key)
	if err != nil {
		return nil, fmt.Errorf("sign a revocation list: %w", err)
	}
	a.lists.Store(fingerprint, &crl{s.version, now, der})
	return der, nil
}

// root returns a root in force whose key is here.
func (a *Authority) root(fingerprint string) (Root, error) {
	for _, r := range a.Roots() {
		if Fingerprint(r.Certificate) == fingerprint {
			return r, nil
		}
	}
	return Root{}, domain.Refusef(domain.NotFound, "no such root is in force on this server")
}

// entries lists what a root has issued, was revoked, and would still be good.
func entries(a authority.Authority, root string, now time.Time) (list []x509.RevocationListEntry) {
	for _, r := range a.Revoked {
		if r.Issuer != root || now.After(r.NotAfter) {
			continue
		}
		serial, ok := new(big.Int).SetString(r.Serial, 16)
		if !ok {
			continue // the aggregate lets none in
		}
		list = append(list, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: r.At.UTC(), ReasonCode: authority.Reasons()[r.Because]})
	}
	slices.SortFunc(list, func(a, b x509.RevocationListEntry) int {
		if c := a.RevocationTime.Compare(b.RevocationTime); c != 0 {
			return c
		}
		return strings.Compare(a.SerialNumber.Text(16), b.SerialNumber.Text(16))
	})
	return list
}

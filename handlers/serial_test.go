package handlers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"math/bits"
	"slices"
	"testing"
	"time"
)

// TestSerialNumbersAreUnique (T36) draws a million serial numbers. Their last 64 bits alone are all different, and each bit is set
// about as often as not.
func TestSerialNumbersAreUnique(t *testing.T) {
	const n = 1_000_000
	all := make([]uint64, n)
	var ones [64]int
	for i := range all {
		serial := newSerial()
		if len := serial.BitLen(); len != 127 {
			t.Fatalf("a serial number has %d bits", len)
		}
		var text [16]byte
		low := binary.BigEndian.Uint64(serial.FillBytes(text[:])[8:])
		all[i] = low
		for rest := low; rest != 0; rest &= rest - 1 {
			ones[bits.TrailingZeros64(rest)]++
		}
	}
	slices.Sort(all)
	if unique := len(slices.Compact(all)); unique != n {
		t.Errorf("of %d serial numbers %d are different", n, unique)
	}
	for bit, set := range ones { // ten standard deviations
		if set < n/2-5000 || set > n/2+5000 {
			t.Errorf("bit %d is set %d times", bit, set)
		}
	}
}

// TestWhatCertificatesSay (T36) looks at what certificates say for each kind of key, and near the end of a root.
func TestWhatCertificatesSay(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 500, time.UTC)
	a := &Authority{Days: 365, CRL: "https://mdm.example.com/crl"}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"RSA": &rsa.PublicKey{}, "ECDSA": curve.Public()} {
		for years := 1; years <= 10; years += 9 {
			root := Root{Certificate: &x509.Certificate{NotAfter: now.AddDate(years, 0, -30)}}
			c := a.template(root, key, Grant{}, now)
			usage := x509.KeyUsageDigitalSignature
			if name == "RSA" {
				usage |= x509.KeyUsageKeyEncipherment
			}
			if c.KeyUsage != usage || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth || c.IsCA || !c.BasicConstraintsValid {
				t.Errorf("%s: it may be used for %v %v, CA: %t", name, c.KeyUsage, c.ExtKeyUsage, c.IsCA)
			}
			if c.NotAfter.After(root.Certificate.NotAfter) || c.NotAfter.After(now.AddDate(1, 0, 0)) || !c.NotBefore.Before(now) || now.Sub(c.NotBefore) > time.Hour {
				t.Errorf("%s: it is good from %s to %s, its root to %s", name, c.NotBefore, c.NotAfter, root.Certificate.NotAfter)
			}
			if len(c.DNSNames)+len(c.EmailAddresses)+len(c.URIs)+len(c.IPAddresses) > 0 || len(c.CRLDistributionPoints) != 1 {
				t.Errorf("%s: it says %+v", name, c)
			}
		}
	}
}

package handlers

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-mdm/rollcall/domain"
)

// What an attestation may be at most: certificates, the bytes of each, and those of one of its statements.
const (
	maxAttesting   = 8
	maxAttestation = 16 << 10
	maxStatement   = 256
)

// Attestations judge what Apple attests about a device and a key that was made in it.
type Attestations struct {
	Roots []*x509.Certificate // Apple's; if there is none, nobody can tell whether an attestation is Apple's
	Stamp domain.Stamp        // makes the marks of serial numbers and UDIDs
}

// An Attested is what a chain of certificates attests.
type Attested struct {
	domain.Attestation
	PublicKey    any // the key that is attested
	SerialNumber string
	UDID         string
	Mac          bool // it tells what Macs alone have; UDID is then the ProvisioningUDID
	freshness    []byte
}

// Freshness is what the attestation says that it was asked for with; nil if it does not say.
func (a Attested) Freshness() []byte {
	if len(a.freshness) == sha256.Size {
		return a.freshness
	}
	return unwrapped(a.freshness)
}

// Fresh reports whether the attestation was made when it was asked for with nonce.
func (a Attested) Fresh(nonce []byte) bool {
	return len(nonce) > 0 && (bytes.Equal(a.freshness, nonce) || bytes.Equal(unwrapped(a.freshness), nonce))
}

// Judge reads a chain of certificates, DER, the leaf first and the root left out, and checks that it leads to one of the
// roots. Refused (Invalid) is what cannot be read, what is too large, and, where roots are known, what leads to none of them.
func (a *Attestations) Judge(chain [][]byte, now time.Time) (Attested, error) {
	if len(chain) == 0 || len(chain) > maxAttesting {
		return Attested{}, domain.Refusef(domain.Invalid, "an attestation has 1 to %d certificates", maxAttesting)
	}
	certificates := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		var err error
		if len(der) > maxAttestation {
			return Attested{}, domain.Refusef(domain.Invalid, "a certificate of an attestation has at most %d bytes", maxAttestation)
		}
		if certificates[i], err = x509.ParseCertificate(der); err != nil {
			return Attested{}, domain.Refusef(domain.Invalid, "a certificate of the attestation cannot be read")
		}
	}
	told := a.read(certificates[0])
	if len(a.Roots) == 0 {
		return told, nil
	}
	root, err := a.root(certificates, now)
	if err != nil {
		return Attested{}, domain.WithHint(domain.Refusef(domain.Invalid, "the attestation's certificates do not lead to a root that is believed here"),
			"if the device is genuine, --attestation-ca lacks the root of Apple's that it leads to")
	}
	told.Root = Fingerprint(root)
	return told, nil
}

// root returns the root to which the chain leads.
func (a *Attestations) root(chain []*x509.Certificate, now time.Time) (*x509.Certificate, error) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, r := range a.Roots {
		roots.AddCert(r)
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	leaf := *chain[0]
	leaf.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions), func(id asn1.ObjectIdentifier) bool {
		return len(id) > len(apples) && id[:len(apples)].Equal(apples)
	})
	found, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, err
	}
	return found[0][len(found[0])-1], nil
}

// apples begins the identifiers of all that Apple attests. Source: Apple, "Managed Device Attestation".
var apples = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8}

// read returns what the leaf says.
func (a *Attestations) read(leaf *x509.Certificate) Attested {
	told := Attested{PublicKey: leaf.PublicKey}
	says := map[[2]int]*string{
		{9, 1}: &told.SerialNumber, {9, 2}: &told.UDID, {9, 4}: &told.SoftwareUpdateID,
		{10, 1}: &told.OSVersion, {10, 2}: &told.SepOSVersion, {10, 3}: &told.LLBVersion,
		{13, 1}: &told.SIP, {13, 2}: &told.SecureBoot, {13, 3}: &told.ThirdPartyKexts,
	}
	for _, e := range leaf.Extensions {
		if len(e.Id) != len(apples)+2 || !e.Id[:len(apples)].Equal(apples) || len(e.Value) > maxStatement {
			continue
		}
		at := [2]int{e.Id[len(apples)], e.Id[len(apples)+1]}
		told.Mac = told.Mac || at[0] == 13
		if into, known := says[at]; known {
			*into = statement(e.Value)
		}
		if at == [2]int{11, 1} {
			told.freshness = e.Value
		}
	}
	if told.SerialNumber != "" {
		told.SerialMark = a.SerialMark(told.SerialNumber)
	}
	if told.UDID != "" {
		told.UDIDMark = a.UDIDMark(told.UDID)
	}
	return told
}

// SerialMark returns the mark of a serial number in an attestation.
func (a *Attestations) SerialMark(serial string) string {
	return a.Stamp("attestation", "serial", serial)
}

// UDIDMark returns the mark of a UDID in an attestation.
func (a *Attestations) UDIDMark(udid string) string { return a.Stamp("attestation", "udid", udid) }

// statement returns a value as text. Apple writes texts as they are; a whole ASN.1 value is read as what it is, and what is
// neither is told in hex.
func statement(value []byte) string {
	text := unwrapped(value)
	switch {
	case len(text) == 1 && text[0] < 10: // a number or a truth value
		return string('0' + rune(text[0]))
	case len(text) == 1 && text[0] == 0xff: // true, as DER has it
		return "1"
	case utf8.Valid(text) && !slices.ContainsFunc([]rune(string(text)), func(r rune) bool { return !unicode.IsPrint(r) }):
		return string(text)
	}
	return hex.EncodeToString(text)
}

// unwrapped returns the content of a value that is one whole simple value of ASN.1, and any other as it is. A serial number
// cannot be taken for one: it begins with no control character.
func unwrapped(value []byte) []byte {
	if len(value) >= 2 && value[0] < 0x20 && int(value[1]) == len(value)-2 && value[1] < 0x80 {
		return value[2:]
	}
	return value
}

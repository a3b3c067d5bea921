package enroll

import (
	"crypto/x509"
	"errors"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// A machine is what a device tells of itself before it is managed. Source: Apple, "MachineInfo", and the attributes of
// the over-the-air profile service.
type machine struct {
	UDID, Serial, Product string
	Build, OSVersion      string
	Challenge             string
	CanUpdate, CanSSO     bool // in Setup Assistant

	signer *x509.Certificate
	chain  []*x509.Certificate // that came with the message
}

// readMachine reads a signed message of a device: its signature must cover what it says. Whom the signer chains to is
// asked elsewhere.
func readMachine(message []byte) (machine, error) {
	signed, err := cms.ReadSignature(message)
	if err != nil || signed.Content == nil {
		return machine{}, domain.Refusef(domain.Invalid, "the message is not one that a device has signed")
	}
	if err := signed.Covers(signed.Content); err != nil {
		return machine{}, domain.Refusef(domain.Forbidden, "the signature does not fit the message")
	}
	dict, err := plist.Scan(signed.Content)
	if err != nil {
		return machine{}, domain.Refusef(domain.Invalid, "what the device signed is no property list")
	}
	m := machine{
		UDID: dict.String("UDID"), Serial: dict.String("SERIAL"), Product: dict.String("PRODUCT"), Build: dict.String("VERSION"),
		OSVersion: dict.String("OS_VERSION"), Challenge: dict.String("CHALLENGE"),
		CanUpdate: is(dict.Bool("MDM_CAN_REQUEST_SOFTWARE_UPDATE")), CanSSO: is(dict.Bool("MDM_CAN_REQUEST_PSSO_CONFIG")),
		signer: signed.Certificates[0], chain: signed.Certificates[1:],
	}
	if dict.Err() != nil {
		return machine{}, domain.Refusef(domain.Invalid, "what the device says of itself has the wrong types")
	}
	return m, nil
}

func is(b *bool) bool { return b != nil && *b }

// errStranger says that a signer is none of the certificates that devices are built with.
var errStranger = errors.New("the signer does not chain to the certificates that devices are built with")

// builtIn checks that a certificate chains to a pool by signatures alone: Apple's certificates that devices are built
// with have expired, and some are signed with SHA-1, which crypto/x509 takes for broken.
func builtIn(leaf *x509.Certificate, chain []*x509.Certificate, roots []*x509.Certificate) error {
	const longest = 5
	for at, steps := leaf, 0; steps < longest; steps++ {
		for _, root := range roots {
			if root.Equal(at) || cms.SignedBy(at, root) {
				return nil
			}
		}
		next := issuer(at, chain)
		if next == nil {
			return errStranger
		}
		at = next
	}
	return errStranger
}

func issuer(c *x509.Certificate, chain []*x509.Certificate) *x509.Certificate {
	for _, other := range chain {
		if !other.Equal(c) && cms.SignedBy(c, other) {
			return other
		}
	}
	return nil
}

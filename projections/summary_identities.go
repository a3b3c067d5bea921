package projections

import (
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/issuance"
)

func summariseIdentity(e domain.Event, s Scene) string {
	switch e := e.(type) {
	case authority.RootInstalled:
		return fmt.Sprintf("%s (%s, %s) issues the identities of devices from now on, until %s at most", or(e.Subject, "a root"), short(e.Fingerprint), e.Source, stamp(e.NotAfter))
	case authority.RootRetired:
		return fmt.Sprintf("%s retired the root %s: what it has issued is believed no longer%s", s.Actor, short(e.Fingerprint), because(e.Reason))
	case authority.CertificateRevoked:
		return fmt.Sprintf("%s revoked the certificate %s (%s)%s", s.Actor, short(e.Fingerprint), e.Because, because(e.Reason))
	case issuance.Signed:
		return fmt.Sprintf("the certificate %s was made for a key, good until %s", short(e.Fingerprint), stamp(e.NotAfter))
	case challenge.Vouched:
		text := "a profile was given to " + vouched(e.Person)
		if e.Invitation != "" {
			text += fmt.Sprintf(" by the invitation %s (%s)", e.Invitation, e.Road)
		}
		return text
	case challenge.Used:
		return fmt.Sprintf("a one-time challenge was used by the key %s", short(e.PublicKey))
	case challenge.Answered:
		if e.Attested == nil {
			return fmt.Sprintf("the account %s answered a challenge, and attested nothing", short(e.Requester))
		}
		return fmt.Sprintf("the account %s answered a challenge with the key %s; %s", short(e.Requester), short(e.PublicKey), attested(*e.Attested))
	case certificate.Issued:
		what := fmt.Sprintf("the certificate %s was issued to %s, good until %s", e.Serial, e.Session, stamp(e.NotAfter))
		if e.Follows != "" {
			what += ", in the place of " + short(e.Follows)
		}
		if e.Invitation != "" {
			what += ", by the invitation " + e.Invitation
		}
		if e.Attested != nil {
			what += "; " + attested(*e.Attested)
		}
		return what
	case certificate.RenewalOverdue:
		return fmt.Sprintf("the certificate of %s ends on %s, and none has come in its place%s", s.target(), stamp(e.NotAfter), tried(e.Tries))
	case authority.RootExpiring:
		if e.Days == 0 {
			return fmt.Sprintf("the root %s ended on %s: what it has issued is good no longer", short(e.Fingerprint), stamp(e.NotAfter))
		}
		return fmt.Sprintf("the root %s ends on %s, in %s or less, and so does all that it has issued", short(e.Fingerprint), stamp(e.NotAfter), days(e.Days))
	case enrollment.Invited:
		limits := ""
		if e.Uses > 0 {
			limits = fmt.Sprintf(", for %d %s", e.Uses, plural(e.Uses, "device", "devices"))
		}
		if !e.Expires.IsZero() {
			limits += ", until " + stamp(e.Expires)
		}
		return fmt.Sprintf("%s opened a way in: %s%s", s.Actor, e.Name, limits)
	case enrollment.Withdrawn:
		return fmt.Sprintf("%s withdrew the invitation %s%s", s.Actor, s.Declaration, because(e.Reason))
	case enrollment.Mailed:
		how := "mailed"
		if e.By == enrollment.ByFile {
			how = "wrote a letter with"
		}
		return fmt.Sprintf("%s %s the link of the invitation %s to %s", s.Actor, how, s.Declaration, or(e.Recipient, "somebody"))
	case enrollment.MailFailed:
		return fmt.Sprintf("the link of the invitation %s could not be mailed to %s%s", s.Declaration, or(e.Recipient, "somebody"), because(e.ErrorText))
	case enrollment.Admitted:
		return fmt.Sprintf("the key %s was let in by the invitation %s (%s)", short(e.PublicKey), s.Declaration, e.Road)
	}
	return ""
}

// tried tells how often something was tried, after a comma.
func tried(times int) string {
	if times == 0 {
		return ""
	}
	return fmt.Sprintf(", though it was tried %d %s", times, plural(times, "time", "times"))
}

// attested tells what is vouched for about a key.
func attested(a domain.Attestation) string {
	what := "nobody who is believed here vouches that the key was made in hardware, as it says"
	if a.Root != "" {
		what = "the root " + short(a.Root) + " vouches that the key was made in hardware"
	}
	if a.OSVersion != "" {
		what += ", under the system " + a.OSVersion
	}
	return what
}

// attestedOf tells what is vouched for about a device's key.
func attestedOf(e device.IdentityAttested, who string) string {
	what := fmt.Sprintf("the key of the certificate %s was attested for %s", short(e.Certificate), who)
	if e.SerialNumber != "" {
		what += ", serial number " + e.SerialNumber
	}
	return what + ": " + attested(e.Attested)
}

package projections

import (
	"fmt"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
)

func summariseCheckIn(e domain.Event, s Scene) string {
	who := s.target()
	switch e := e.(type) {
	case device.Authenticated:
		if e.Renewal {
			return who + " authenticated anew, with a replaced enrolment profile"
		}
		return fmt.Sprintf("%s authenticated (%s), enrolment %d%s", who, or(strings.TrimSpace(e.ProductName+" "+e.OSVersion), "model unknown"), e.Generation, camePer(e))
	case device.TokenUpdated:
		if e.Enrolled {
			return who + " enrolled: it can be woken from now on"
		}
		return who + " renewed its push token"
	case device.CheckedOut:
		return who + " checked out: it is no longer managed"
	case device.UserAuthenticated:
		switch {
		case e.Accepted:
			return who + " logged in and is managed"
		case e.Because != "":
			return who + " could not prove a password" + because(e.Because)
		}
		return who + " asked to be managed as a network user, and was declined"
	case device.UserChallenged:
		return who + " logged in, and was asked to prove a password"
	case device.TokenIssued:
		return who + " was given a token for " + e.Service
	case device.ReturnedToService:
		switch {
		case e.AppsPreserved:
			return who + " erases itself and comes back with its apps"
		case e.Enabled:
			return who + " erases itself and comes back"
		}
		return who + " asked how to come back after erasing itself, which is not offered"
	case device.IdentityCloneSuspected:
		return fmt.Sprintf("the certificate %s of %s spoke as another device%s: an identity may have been copied",
			short(e.Certificate), who, called(e.Claimed))
	case device.BootstrapTokenEscrowed:
		return who + " left its bootstrap token"
	case device.BootstrapTokenDeleted:
		return who + " asked to forget its bootstrap token"
	case device.BootstrapTokenReleased:
		if e.Found {
			return who + " fetched its bootstrap token"
		}
		return who + " asked for its bootstrap token, of which there is none"
	case device.DeclarationsFetched:
		if !e.Found {
			return who + " asked for " + e.Endpoint + ", which does not exist"
		}
		return who + " fetched " + e.Endpoint
	case device.DeclarationsAnnounced:
		return fmt.Sprintf("%s is to have the declarations %s from now on", who, short(e.Token))
	case device.DeclarationStatusReported:
		return who + " reported the status of its declarations"
	case device.IdentityPinned:
		return fmt.Sprintf("the certificate %s speaks for %s from now on", short(e.Certificate), who)
	case device.IdentityAttested:
		return attestedOf(e, who)
	case device.IdentityReplaced:
		return fmt.Sprintf("the certificate %s replaced %s for %s", short(e.Certificate), short(e.Before), who)
	case device.IdentityRefused:
		return fmt.Sprintf("a message in the name of %s was refused%s", who, because(e.Reason))
	case device.Located:
		return who + " told where it is"
	case device.LocationsForgotten:
		return fmt.Sprintf("where %s was on %s can no longer be told: the key is destroyed", who, e.Day)
	case device.RecoveryKeyEscrowed:
		if e.Rotated {
			return who + " made a new FileVault recovery key, and handed it over"
		}
		return who + " handed over a FileVault recovery key that was not known before"
	case device.SecretRevealed:
		what := "a secret"
		if e.Older != 0 {
			what = "an earlier secret"
		}
		return fmt.Sprintf("%s was shown %s of %s (%s)%s", s.Actor, what, who, e.Kind, because(e.Reason))
	case device.Disclosed:
		return fmt.Sprintf("%s disclosed sealed parts (%s) of %d events of %s to %s%s", s.Actor, strings.Join(e.Parts, ", "), e.Events, who, or(e.Recipient, "somebody"), because(e.Reason))
	case device.SubjectErased:
		if e.Channel != "" {
			return fmt.Sprintf("%s erased the personal data of a user of %s%s", s.Actor, s.Device, because(e.Reason))
		}
		return fmt.Sprintf("%s erased the personal data of %s and its users%s", s.Actor, who, because(e.Reason))
	case device.MessageUnrecognised:
		return fmt.Sprintf("%s sent a message that was not understood%s", who, because(e.Reason))
	}
	return ""
}

// called returns what another device called itself.
func called(i device.Identity) string {
	for _, name := range []string{i.SerialNumber, i.UDID, i.EnrollmentID} {
		if name != "" {
			return ", " + name
		}
	}
	return ""
}

// roads are the ways in, as a sentence names them.
var roads = map[string]string{
	enrollment.Profile: "by a profile that was loaded", enrollment.OTA: "by the over-the-air profile service",
	enrollment.ADE: "by Automated Device Enrollment", enrollment.Account: "by a Managed Apple Account",
}

// vouched tells who signed in, and on whose word.
func vouched(p domain.Person) string {
	if p.Told() == "" {
		return "somebody"
	}
	word := "for whom nobody vouches"
	if p.Issuer != "" {
		word = "as " + p.Issuer + " says"
	}
	if p.Name != "" && p.Name != p.Told() {
		word = p.Name + ", " + word
	}
	return p.Told() + " (" + word + ")"
}

// camePer tells by which road and invitation a device came.
func camePer(e device.Authenticated) string {
	if e.Road == "" {
		return ""
	}
	text := ", " + or(roads[e.Road], "by "+e.Road)
	if e.Invitation != "" {
		text += " (invitation " + e.Invitation + ")"
	}
	if e.Person.Told() != "" {
		text += ", brought by " + vouched(e.Person)
	}
	return text
}

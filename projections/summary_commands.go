package projections

import (
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// asked are the orders that ask something, in words; done are those that change something, once they are done. %s
// is the device.
var (
	asked = map[string]string{
		"DeviceLocation":    "asked %s where it is",
		"DeviceInformation": "asked %s about itself", "SecurityInfo": "asked %s about its security",
		"InstalledApplicationList": "asked %s for its apps", "ProfileList": "asked %s for its profiles",
		"CertificateList":         "asked %s for its certificates",
		"ProvisioningProfileList": "asked %s for its provisioning profiles",
		"Restrictions":            "asked %s for its restrictions", "ManagedApplicationList": "asked %s for its managed apps",
		"VerifyRecoveryLock":     "asked %s whether its recovery lock is the one that is known",
		"VerifyFirmwarePassword": "asked %s whether its firmware password is the one that is known",
		"UserList":               "asked %s for its users", "AvailableOSUpdates": "asked %s which updates it could install",
	}
	done = map[string]string{
		"DeviceLock": "locked %s", "EraseDevice": "erased %s", "ClearPasscode": "cleared the passcode of %s",
		"RestartDevice": "restarted %s", "ShutDownDevice": "shut down %s", "InstallProfile": "installed a profile on %s",
		"RemoveProfile": "removed a profile from %s", "InstallApplication": "had %s accept an app",
		"RemoveApplication": "removed an app from %s", "Settings": "changed settings of %s",
		"DeviceConfigured": "released %s from Setup Assistant",
		"EnableLostMode":   "put %s into lost mode", "DisableLostMode": "took %s out of lost mode",
		"PlayLostModeSound":     "had %s play a sound",
		"RotateFileVaultKey":    "changed the FileVault recovery key of %s",
		"SetRecoveryLock":       "set the recovery lock of %s",
		"SetFirmwarePassword":   "set the firmware password of %s",
		"DeclarativeManagement": "sent %s word of its declarations",
	}
)

func summariseCommand(e domain.Event, s Scene) string {
	who := s.target()
	switch e := e.(type) {
	case device.CommandQueued:
		return ordered(e.RequestType, s)
	case device.CommandDelivered:
		if e.Attempt > 1 {
			return fmt.Sprintf("%s was handed %s%s, attempt %d", who, e.RequestType, orderedBy(s), e.Attempt)
		}
		return fmt.Sprintf("%s was handed %s%s", who, e.RequestType, orderedBy(s))
	case device.CommandAcknowledged:
		return fmt.Sprintf("%s %s %s%s%s", who, acknowledged(e), e.RequestType, orderedBy(s), since(s))
	case device.CommandFailed:
		return fmt.Sprintf("%s could not do %s%s%s", who, e.RequestType, orderedBy(s), because(firstError(e.ErrorChain)))
	case device.CommandFormatRejected:
		return fmt.Sprintf("%s did not understand %s%s%s", who, e.RequestType, orderedBy(s), because(firstError(e.ErrorChain)))
	case device.CommandDeferred:
		return fmt.Sprintf("%s answered NotNow to %s%s, %s by now", who, e.RequestType, orderedBy(s), times(e.Deferrals))
	case device.CommandCancelled:
		return fmt.Sprintf("%s cancelled %s for %s%s", s.Actor, e.RequestType, who, because(e.Reason))
	case device.CommandSuperseded:
		if e.By == "" {
			return fmt.Sprintf("%s for %s cannot work any more%s", e.RequestType, who, because(e.Reason))
		}
		return fmt.Sprintf("%s for %s gave way to a later order by %s", e.RequestType, who, s.Actor)
	case device.CommandExpired:
		return fmt.Sprintf("%s for %s%s expired before it was fetched", e.RequestType, who, orderedBy(s))
	case device.ResultUnmatched:
		return who + " answered " + unmatched(e)
	}
	return ""
}

// acknowledged tells how a command was acknowledged: one about a password may have been done, and come to nothing.
func acknowledged(e device.CommandAcknowledged) string {
	if passwordFacts[e.RequestType] != "" && len(e.Result) > 0 && !device.PasswordAnswer(e) {
		return "was told another password than it has, and acknowledged"
	}
	if e.RequestType == "SetFirmwarePassword" && len(e.Result) > 0 && !device.PasswordAnswer(e) {
		return "kept the password that it has, and acknowledged"
	}
	return "acknowledged"
}

// unmatched tells of an answer that belongs to no waiting command.
func unmatched(e device.ResultUnmatched) string {
	words, known := map[string]string{
		"unknown":     "%s to a command that nobody has ordered",
		"settled":     "%s to a command that had ended before",
		"foreign":     "%s to a command of another user or of the device itself",
		"undelivered": "%s to a command that it had not been handed",
		"status":      "%q, a status that nobody knows; the command still waits",
	}[e.Because]
	if !known {
		return fmt.Sprintf("%s to a command that did not wait for it (%s)", e.Status, e.Because)
	}
	return fmt.Sprintf(words, e.Status)
}

// ordered tells an order and what became of it.
func ordered(requestType string, s Scene) string {
	c := s.Command
	words, question := asked[requestType]
	if past, known := done[requestType]; known && c != nil && c.State == Acknowledged {
		words = past
	}
	who := s.target()
	if words == "" || c == nil && !question {
		return fmt.Sprintf("%s ordered %s for %s%s", s.Actor, requestType, who, outcome(c))
	}
	return fmt.Sprintf("%s %s (%s)%s", s.Actor, fmt.Sprintf(words, who), requestType, outcome(c))
}

// outcome tells what became of a command.
func outcome(c *Command) string {
	if c == nil {
		return ""
	}
	told := ""
	if c.Deliveries > 0 {
		told = fmt.Sprintf(", delivered %s later", lasted(c.DeliveredAt.Sub(c.QueuedAt)))
	}
	after := ""
	if c.Deferrals > 0 {
		after = fmt.Sprintf(" after %d NotNow", c.Deferrals)
	}
	switch c.State {
	case Queued:
		return told + ", not delivered yet"
	case Delivered:
		return told + ", not answered yet" + after
	case Deferred:
		return told + fmt.Sprintf(", put off by the device (%d NotNow)", c.Deferrals)
	case Acknowledged:
		return told + ", acknowledged" + after
	case Failed:
		return told + ", failed" + after
	case FormatRejected:
		return told + ", not understood by the device" + after
	case Cancelled:
		return told + ", cancelled" + after + because(c.Because)
	case Superseded:
		return told + ", superseded" + after
	}
	return told + ", expired" + after
}

func orderedBy(s Scene) string {
	if s.Command == nil {
		return ""
	}
	return " (ordered by " + actorLabel(s.Command.QueuedBy, s.Device) + ")"
}

func since(s Scene) string {
	if s.Command == nil || s.Command.QueuedAt.IsZero() || s.Time.Before(s.Command.QueuedAt) {
		return ""
	}
	after := ""
	if n := s.Command.Deferrals; n > 0 {
		after = fmt.Sprintf(", and %d NotNow", n)
	}
	return ", " + lasted(s.Time.Sub(s.Command.QueuedAt)) + " after the order" + after
}

// lasted writes a duration for people, in its largest unit.
func lasted(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(d, 0).Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

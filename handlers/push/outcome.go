package push

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// An outcome is what an attempt to push means for the device, for its topic, and for the next attempt.
type outcome struct {
	text    string        // why it failed; empty if it was accepted
	status  int           // of HTTP; 0 if there was no answer
	id      string        // apns-id
	after   time.Duration // Apple wants us to wait so long
	since   time.Time     // the token is dead since then
	final   bool          // trying again cannot help
	dead    bool          // Apple calls the token dead
	broken  bool          // the connection broke: nothing was wrong with the push
	outage  bool          // Apple's service, or the way to it, fails: others will fail as well
	trouble bool          // the topic's certificate or our settings are wrong
	ours    bool          // the request was wrong: an error of the program
	slow    bool          // Apple wants this device to be left alone for minutes
}

// judge returns what an answer, or its absence, means. Source: Apple, "Handling notification responses from APNs".
func judge(a Answer, err error) outcome {
	if t, ok := errors.AsType[*Trouble](err); ok {
		return outcome{text: t.Reason, trouble: true}
	}
	if err != nil {
		timeout := errors.Is(err, context.DeadlineExceeded)
		text := "no answer"
		if timeout {
			text = "no answer in time"
		}
		return outcome{text: text, outage: true, broken: !timeout}
	}
	o := outcome{text: a.Reason, status: a.Status, id: a.ID, after: a.RetryAfter, since: a.DeadSince}
	if o.text == "" && a.Status != http.StatusOK {
		o.text = "HTTP " + http.StatusText(a.Status)
	}
	switch a.Status {
	case http.StatusOK:
		o.text = ""
	case http.StatusGone:
		o.final, o.dead = true, true
	case http.StatusForbidden:
		o.trouble = true
	case http.StatusTooManyRequests:
		o.slow = true
	case http.StatusBadRequest:
		o = o.badRequest()
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge:
		o.ours = true
	default:
		o.outage = true
	}
	return o
}

func (o outcome) badRequest() outcome {
	switch o.text {
	case "BadDeviceToken", "DeviceTokenNotForTopic":
		o.final = true
	case "BadTopic", "MissingTopic", "TopicDisallowed":
		o.trouble = true
	case "IdleTimeout":
		o.broken, o.outage = true, true
	default:
		o.ours = true
	}
	return o
}

// outcomes are Apple's reasons, as far as they are known: whoever counts outcomes has no more names than these and ours.
var outcomes = []string{
	"BadCollapseId", "BadDeviceToken", "BadExpirationDate", "BadMessageId", "BadPriority", "BadTopic",
	"DeviceTokenNotForTopic", "DuplicateHeaders", "IdleTimeout", "InvalidPushType", "MissingDeviceToken", "MissingTopic",
	"PayloadEmpty", "TopicDisallowed", "BadCertificate", "BadCertificateEnvironment", "ExpiredProviderToken", "Forbidden",
	"InvalidProviderToken", "MissingProviderToken", "BadPath", "MethodNotAllowed", "ExpiredToken", "Unregistered",
	"PayloadTooLarge", "TooManyProviderTokenUpdates", "TooManyRequests", "InternalServerError", "ServiceUnavailable", "Shutdown",
}

// name is what the outcome is counted as.
func (o outcome) name() string {
	switch {
	case o.text == "":
		return "accepted"
	case o.status == 0 && o.trouble:
		return "handshake"
	case o.status == 0:
		return strings.ReplaceAll(o.text, " ", "-")
	}
	for _, known := range outcomes {
		if o.text == known {
			return known
		}
	}
	return "other"
}

// push returns the attempt as the device records it.
func (o outcome) push(id device.ChannelID, token []byte, attempt int) device.Push {
	return device.Push{
		Channel: id, Token: token, APNsID: o.id, Attempt: attempt, Status: o.status, Reason: o.text,
		Final: o.final, Unregistered: o.dead, DeadSince: o.since,
	}
}

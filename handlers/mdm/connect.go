package mdm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/plist"

	guard "github.com/rollcall-mdm/rollcall/handlers/cms"
)

// envelope are the keys of a report that say who speaks of what. All others are the result itself.
var envelope = []string{
	"UDID", "EnrollmentID", "UserID", "EnrollmentUserID", "UserShortName", "UserLongName", "Status", "CommandUUID",
	"RequestType", "ErrorChain", "NotOnConsole", "NeedSyncResponse", "UserConfiguration", "AuthToken",
}

// maxWord is how much of a word that we do not know is written openly, in bytes.
const maxWord = 64

type change = eventstore.Change[device.Device, domain.Event]

// connect takes a report on the command channel and hands out the next command. An answer without a body ends
// the session.
func (d *Door) connect(r *request) (answer, error) {
	report, err := reportOf(r)
	if err != nil {
		return answer{}, err
	}
	poll := pollKey{r.sender.device, string(report.Channel)}
	meta := d.keeping(r, false)
	result := resultOf(r, report)
	switch {
	case report.Status == device.Idle:
		report.Polls = d.polls.of(poll) + 1
	case !report.Known():
		meta.Evidence = d.evidence(r, maxEvidence)
	}
	done, err := d.Devices.Update(r.ctx, r.sender.device, meta, func(dev device.Device, at time.Time) ([]domain.Event, error) {
		if err := r.admits(dev); err != nil && !errors.Is(err, errLeaving) {
			return nil, err
		}
		if err := result.cut(&report, dev); err != nil {
			return nil, err
		}
		if dev.Leaving {
			return dev.Depart(report, at)
		}
		return dev.Connect(report, at)
	})
	if err == nil && done.State.Leaving {
		err = errLeaving
	}
	if err != nil {
		return answer{}, err
	}
	d.count(report, poll, done.Events)
	return d.delivery(r, done, report.Channel)
}

// reportOf returns what the message reports, but for its result.
func reportOf(r *request) (device.Report, error) {
	m := r.message
	report := device.Report{
		Channel: r.sender.channel, Status: m.String("Status"), UUID: m.String("CommandUUID"),
	}
	if m.Err() != nil {
		return report, &malformed{text: "Status or CommandUUID is not a string"}
	}
	if report.Status == device.Idle {
		report.UUID = ""
		return report, nil
	}
	if !report.Known() {
		report.Status = clip(report.Status, maxWord)
	}
	report.UUID = clip(report.UUID, maxName)
	report.ErrorChain = m.JSON("ErrorChain")
	return report, nil
}

// A result is what a device answers beyond its status. What is secret in it depends on the command that it answers.
type result struct {
	keys json.RawMessage
	echo string // the RequestType that the device names, if it does

	split   bool // done already, for the command type that follows
	of      string
	open    json.RawMessage
	secrets map[string]json.RawMessage
}

func resultOf(r *request, report device.Report) *result {
	if report.Status == device.Idle {
		return &result{}
	}
	return &result{keys: r.message.Rest(envelope...), echo: r.message.String("RequestType")}
}

// cut puts the result into the report, without its secrets, which go beside it. The queue knows best what the
// command was; of one that it does not know any more, the device may.
func (x *result) cut(report *device.Report, dev device.Device) error {
	if len(x.keys) == 0 {
		return nil
	}
	of := x.echo
	if item, _, waits := dev.Item(report.UUID); waits {
		of = item.RequestType
	}
	if !x.split || x.of != of {
		open, secrets, err := command.Split(of, x.keys)
		if err != nil {
			return fmt.Errorf("cut the secrets out of a result: %w", err)
		}
		x.split, x.of, x.open, x.secrets = true, of, open, secrets
	}
	report.Result, report.Secrets = x.open, x.secrets
	if key := device.RecoveryKeyIn(of, x.secrets); dev.NewRecoveryKey(key) {
		report.Recipient = guard.SerialOf(key)
	}
	return nil
}

// count keeps the figures of one report.
func (d *Door) count(report device.Report, poll pollKey, events []domain.Event) {
	if !report.Known() {
		d.Observe.connect("other")
		return
	}
	d.Observe.connect(report.Status)
	if report.Status != device.Idle {
		return
	}
	if len(events) == 0 {
		d.polls.add(poll)
		return
	}
	if _, told := events[len(events)-1].(device.Seen); told {
		d.polls.told(poll)
	}
}

// delivery returns the answer that hands out the command which was just recorded as delivered, if one was.
func (d *Door) delivery(r *request, done change, channel device.ChannelID) (answer, error) {
	if len(done.Events) == 0 {
		return kept, nil
	}
	next, ok := done.Events[len(done.Events)-1].(device.CommandDelivered)
	if !ok || next.Channel != channel {
		return kept, nil
	}
	item, _, waits := done.State.Item(next.UUID)
	if !waits {
		return kept, nil
	}
	if item.Bulk != "" {
		body, err := d.Bulk.Body(r.ctx, item.Bulk, item.UUID)
		if err != nil {
			return answer{}, err // the device asks again, and is handed it again
		}
		item.Body = body
	}
	return answer{status: http.StatusOK, contentType: xmlType, body: bodyOf(item, done.State)}, nil
}

// bodyOf returns the command as it is delivered: as it was ordered, but that a ClearPasscode without an
// UnlockToken gets the newest one that the device has given.
func bodyOf(item device.Item, dev device.Device) []byte {
	if item.RequestType != "ClearPasscode" || len(dev.UnlockToken) == 0 {
		return item.Body
	}
	var message map[string]any
	if plist.Unmarshal(item.Body, &message) != nil {
		return item.Body
	}
	keys, ok := message["Command"].(map[string]any)
	if !ok || keys["UnlockToken"] != nil {
		return item.Body
	}
	keys["UnlockToken"] = dev.UnlockToken
	with, err := plist.Marshal(message)
	if err != nil {
		return item.Body
	}
	return with
}

// clip returns the beginning of a word from outside, so that no event can grow by it.
func clip(word string, most int) string {
	if len(word) <= most {
		return word
	}
	return strings.ToValidUTF8(word[:most], "")
}

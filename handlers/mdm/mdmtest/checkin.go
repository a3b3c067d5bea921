package mdmtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// The content types of the two protocols.
const (
	checkInType = "application/x-apple-aspen-mdm-checkin"
	connectType = "application/x-apple-aspen-mdm; charset=UTF-8"
)

// A Violation says how a server broke the protocol.
type Violation struct {
	Device string
	What   string
}

func (v *Violation) Error() string {
	return fmt.Sprintf("device %s: the server broke the protocol: %s", v.Device, v.What)
}

// A StatusError says that a server refused a message.
type StatusError struct {
	Message string // message type, or status of the report
	Status  int
	Body    string // the first of it
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered %s with status %d: %s", e.Message, e.Status, e.Body)
}

// ErrNotEnrolled says that the device is not managed and so has nothing to say.
var ErrNotEnrolled = errors.New("the device is not enrolled")

// Enrol installs the enrolment profile: Authenticate, then the TokenUpdate of the device and of each of its users.
func (d *Device) Enrol(ctx context.Context) error {
	if err := d.Authenticate(ctx); err != nil {
		return err
	}
	if err := d.UpdateToken(ctx); err != nil {
		return err
	}
	for _, u := range d.Users {
		if err := d.EnrolUser(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// Authenticate asks the server to manage the device. What it knew of an earlier enrolment is over.
func (d *Device) Authenticate(ctx context.Context) error {
	d.mu.Lock()
	d.enrolled = false
	d.own.reset()
	for _, u := range d.Users {
		u.channel.reset()
	}
	keys := d.describe()
	d.mu.Unlock()
	return d.expectEmpty(ctx, "Authenticate", keys)
}

// describe returns what Authenticate tells.
func (d *Device) describe() map[string]any {
	keys := map[string]any{
		"Topic": d.Server.Topic, "DeviceName": d.Name, "Model": d.Model, "ModelName": d.ModelName,
		"ProductName": d.ProductName, "OSVersion": d.OSVersion, "BuildVersion": d.BuildVersion,
	}
	if d.SerialNumber != "" {
		keys["SerialNumber"] = d.SerialNumber
	}
	if d.IMEI != "" {
		keys["IMEI"] = d.IMEI
	}
	if d.Platform == MacOS {
		keys["Challenge"] = []byte("apple")
	}
	return keys
}

// UpdateToken gives the server the device's push data. From then on the device is enrolled.
func (d *Device) UpdateToken(ctx context.Context) error {
	d.mu.Lock()
	keys := map[string]any{
		"Topic": d.Server.Topic, "Token": d.Push.Token, "PushMagic": d.Push.Magic, "AwaitingConfiguration": d.Awaiting,
	}
	if len(d.UnlockToken) > 0 && !d.SharedIPad {
		keys["UnlockToken"] = d.UnlockToken
	}
	d.mu.Unlock()
	if err := d.expectEmpty(ctx, "TokenUpdate", keys); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.enrolled, d.own.managed = true, true
	return nil
}

// EnrolUser opens the channel of a user. A server that does not manage him, which is its right, says 410.
func (d *Device) EnrolUser(ctx context.Context, u *User) error {
	keys := d.userKeys(u)
	maps.Copy(keys, map[string]any{
		"Topic": d.Server.Topic, "Token": u.Push.Token, "PushMagic": u.Push.Magic,
	})
	if d.Platform == MacOS {
		keys["NotOnConsole"] = u.NotOnConsole
	}
	err := d.expectEmpty(ctx, "TokenUpdate", keys)
	if refused := (*StatusError)(nil); errors.As(err, &refused) && refused.Status == http.StatusGone {
		return nil
	}
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	u.channel.managed = true
	return nil
}

// CheckOut tells the server that the enrolment profile is gone. Devices say it once; a failure is not repeated.
func (d *Device) CheckOut(ctx context.Context) error {
	d.mu.Lock()
	d.enrolled = false
	d.mu.Unlock()
	return d.expectEmpty(ctx, "CheckOut", map[string]any{"Topic": d.Server.Topic})
}

// EscrowBootstrapToken leaves a Mac's bootstrap token with the server.
func (d *Device) EscrowBootstrapToken(ctx context.Context, token []byte) error {
	return d.expectEmpty(ctx, "SetBootstrapToken", map[string]any{"BootstrapToken": token, "AwaitingConfiguration": d.Awaiting})
}

// expectEmpty sends a check-in message that is answered by 200 and nothing else.
func (d *Device) expectEmpty(ctx context.Context, message string, keys map[string]any) error {
	a, err := d.Say(ctx, message, keys)
	if err != nil {
		return err
	}
	if err := d.judge(message, a); err != nil {
		return err
	}
	if len(a.Body) != 0 {
		return &Violation{d.ID(), fmt.Sprintf("%s was answered by a body of %d bytes, not by an empty one", message, len(a.Body))}
	}
	return nil
}

// Say sends any check-in message and returns the bare answer. The keys that name the device are added, unless keys
// has them.
func (d *Device) Say(ctx context.Context, message string, keys map[string]any) (Answer, error) {
	all := d.nameKeys()
	all["MessageType"] = message
	maps.Copy(all, keys)
	return d.send(ctx, d.Server.CheckIn, checkInType, text(all))
}

// judge sorts out the answers that are no success.
func (d *Device) judge(message string, a Answer) error {
	switch {
	case a.Status == http.StatusOK:
		return nil
	case a.Status/100 == 2:
		return &Violation{d.ID(), fmt.Sprintf("%s was answered by status %d: only 200 is known", message, a.Status)}
	case a.Status == http.StatusUnauthorized,
		a.Status == http.StatusForbidden && strings.Contains(string(a.Body), "com.apple.unrecognized.device"):
		d.mu.Lock()
		d.enrolled = false // the device removes the profile by itself
		d.mu.Unlock()
	}
	return &StatusError{message, a.Status, string(a.Body[:min(len(a.Body), 200)])}
}

// send carries a body to the server, with the proof of who speaks.
func (d *Device) send(ctx context.Context, url, contentType string, body []byte) (Answer, error) {
	r := Request{URL: url, ContentType: contentType, Body: body}
	if d.Proof.Signed() {
		signature, err := d.Proof.Sign(d.Identity, body)
		if err != nil {
			return Answer{}, err
		}
		r.Header = [2]string{"Mdm-Signature", signature}
	} else if d.Identity.Certificate != nil {
		r.Header = d.own.proof(d)
	}
	a, err := d.Wire.Send(ctx, r)
	if err != nil {
		return a, fmt.Errorf("device %s: %w", d.ID(), err)
	}
	return a, nil
}

// nameKeys returns the keys that name the device.
func (d *Device) nameKeys() map[string]any {
	if d.UDID == "" {
		return map[string]any{"EnrollmentID": d.EnrollmentID}
	}
	return map[string]any{"UDID": d.UDID}
}

// userKeys returns the keys that name a user of the device.
func (d *Device) userKeys(u *User) map[string]any {
	keys := d.nameKeys()
	if d.UDID == "" {
		keys["EnrollmentUserID"] = u.UserID
	} else {
		keys["UserID"] = u.UserID
	}
	if u.ShortName != "" {
		keys["UserShortName"] = u.ShortName
	}
	if u.LongName != "" {
		keys["UserLongName"] = u.LongName
	}
	return keys
}

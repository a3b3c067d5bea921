package handlers

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// Whoever orders an enrolment profile that the device would refuse is told, whichever way he orders it.
func TestAnEnrolmentProfileThatTheDeviceWouldRefuseIsNotOrdered(t *testing.T) {
	l := newLostDevice(t)
	_, err := l.forgetter.Devices.Update(t.Context(), "d1", eventstore.Meta{}, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{
			Identity: device.Identity{UDID: "U1"}, Topic: "com.apple.mgmt.External.1", ProductName: "Mac14,2", OSVersion: "15.1", AccessRights: 3,
			Certificate: device.Certificate{Fingerprint: "c1"},
		}, at)
	})
	l.ok(err)
	l.ok(func() error {
		_, err := l.forgetter.Devices.Update(t.Context(), "d1", eventstore.Meta{}, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.UpdateToken(device.TokenUpdate{Topic: "com.apple.mgmt.External.1", Token: []byte("t"), PushMagic: "m", Certificate: device.Certificate{Fingerprint: "c1"}}, at)
		})
		return err
	}())
	orders := &Orders{Devices: l.forgetter.Devices}
	for name, c := range map[string]struct {
		topic  string
		rights int
		wrong  string
	}{
		"one that fits":    {"com.apple.mgmt.External.1", 1, ""},
		"another topic":    {"com.apple.mgmt.External.2", 1, "another Topic"},
		"rights that grow": {"com.apple.mgmt.External.1", 7, "would grow by 4"},
	} {
		v, err := profile.Enrolment{
			Head: profile.Head{Server: "https://mdm.example.com", Identifier: "com.example.mdm"}, Identity: profile.PKCS12{Content: []byte("p12"), Password: "x"},
			MDM: profile.MDM{Topic: c.topic, ServerURL: "https://mdm.example.com/mdm", AccessRights: c.rights},
		}.Profile()
		l.ok(err)
		payload, err := WriteProfile(v)
		l.ok(err)
		order, err := TypedOrder("InstallProfile", map[string]any{"Payload": base64.StdEncoding.EncodeToString(payload)}, "")
		l.ok(err)
		if _, _, err := orders.Send(t.Context(), Caller{ID: "ada", Role: operator.Administrator}, "d1", "", order, true); otherThan(c.wrong, err) {
			t.Errorf("%s, with its type: %v", name, err)
		}
		body, err := plist.MarshalCommand(eventstore.NewUUID().String(), "InstallProfile", map[string]any{"Payload": payload})
		l.ok(err)
		for role, refused := range map[operator.Role]bool{operator.Operator: c.wrong != "", operator.Administrator: false} {
			raw, err := RawOrder(body)
			l.ok(err)
			raw.UUID += string(role)
			against, _, err := orders.SendRaw(t.Context(), Caller{ID: "ada", Role: role}, "d1", "", raw, true)
			if refused && otherThan(c.wrong, err) || !refused && (err != nil || !strings.Contains(against, c.wrong) || c.wrong == "" && against != "") {
				t.Errorf("%s, raw, by the %s: %q %v", name, role, against, err)
			}
		}
	}
}

// otherThan reports whether an error is another than wanted: one that says so, or none.
func otherThan(want string, err error) bool {
	return (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want)
}

package graphql

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// locationKeys forget the locations of a house.
type locationKeys struct{ keys seal.Keyring }

func (l locationKeys) ForgetLocations(ctx context.Context, deviceID, day string, version int64) error {
	return seal.Forget(ctx, l.keys, seal.Subject{Stream: eventstore.Stream{Kind: device.Kind, ID: deviceID}, Within: device.LocationSubject(day)}, version)
}

// tells has U1 say where it is.
func (h *house) tells(latitude string) {
	h.t.Helper()
	h.asks(operator.Operator, `mutation { deviceLocation(device: "U1") { uuid } }`, nil)
	h.reports("DeviceLocation", map[string]any{"Latitude": latitude, "Longitude": 11.5})
}

// openLocations counts the locations in the log that can be opened, and that stand there.
func (h *house) openLocations() (open, all int) {
	h.t.Helper()
	codec := h.door.Evidence.(*seal.Codec[domain.Event])
	for env, err := range h.log.ReadStream(h.t.Context(), eventstore.Stream{Kind: device.Kind, ID: h.names.Device("U1")}, 0, eventstore.Forward) {
		h.ok(err)
		e, err := codec.Decode(env)
		h.ok(err)
		if l, is := e.(device.Located); is {
			if all++; len(l.Location) > 0 {
				open++
			}
		}
	}
	return open, all
}

func TestALocationCanBeOpenedForAShortTime(t *testing.T) {
	h := newHouse(t)
	h.reveals()
	codec := h.door.Evidence.(*seal.Codec[domain.Event])
	h.door.Secrets.Devices, h.door.Secrets.Now, h.door.Secrets.Keep = h.devices, h.clock, 48*time.Hour
	forgetter := &handlers.Forgetter{Views: h.views, Devices: h.devices, Keys: locationKeys{codec.Keys}, Keep: 48 * time.Hour, Now: h.clock, Log: slog.Default()}
	look := func() {
		h.ok(forgetter.Look(t.Context(), false))
		head, err := h.log.Head(t.Context())
		h.ok(err)
		h.ok(h.views.Wait(t.Context(), head))
	}
	reveal := func() reply {
		_, out := h.post(operator.Operator, `mutation { revealSecret(device: "U1", kind: DEVICE_LOCATION, reason: "the police asks") }`, nil)
		return out
	}
	h.enrols("U1", "DMP1", "iPad13,18", "18.1")
	h.asks(operator.Operator, `mutation { enableLostMode(device: "U1", message: "m") { uuid } }`, nil)
	h.answers("U1", `{}`)
	h.tells("48.1")
	h.pass(24 * time.Hour)
	h.tells("48.2")
	look()
	if got := reveal(); !strings.Contains(got.text("revealSecret"), "48.2") {
		t.Fatalf("it is shown as %+v", got)
	}

	// The first day's are over 48 hours after its end, the second's a day later.
	h.pass(36*time.Hour + time.Minute) // noon and 60 hours
	look()
	if open, all := h.openLocations(); open != 1 || all != 2 {
		t.Errorf("of %d locations %d can be opened, want 1 of 2", all, open)
	}
	h.pass(24 * time.Hour)
	if got := reveal(); len(got.Errors) == 0 || !strings.Contains(got.Errors[0].Message, "can no longer be told") {
		t.Errorf("before the key is destroyed it is shown all the same: %+v", got)
	}
	look()
	look()
	if open, all := h.openLocations(); open != 0 || all != 2 {
		t.Errorf("of %d locations %d can be opened, want none of 2", all, open)
	}
	if got := reveal(); len(got.Errors) == 0 || !strings.Contains(got.Errors[0].Message, "holds no DEVICE_LOCATION") {
		t.Errorf("it is shown all the same: %+v", got)
	}
	told := h.asks(operator.Operator, `{ device(id: "U1") { timeline(first: 100) { edges { node { summary } } } } }`, nil)
	n := 0
	for _, edge := range told.at("device.timeline.edges").([]any) {
		if strings.Contains(edge.(map[string]any)["node"].(map[string]any)["summary"].(string), "the key is destroyed") {
			n++
		}
	}
	if n != 2 {
		t.Errorf("it is told %d times that they are forgotten, want twice", n)
	}

	// The clock is set back to a day that is forgotten: the device is heard all the same.
	h.pass(-72 * time.Hour)
	h.tells("48.3")
	if open, all := h.openLocations(); all != 3 || open > 1 {
		t.Errorf("of %d locations %d can be opened", all, open)
	}
}

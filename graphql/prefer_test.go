package graphql

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestPatienceIsThePreferenceWait(t *testing.T) {
	tests := []struct {
		prefer []string
		want   time.Duration
	}{
		{nil, 0},
		{[]string{"wait=5"}, 5 * time.Second},
		{[]string{"respond-async, WAIT = 10"}, 10 * time.Second},
		{[]string{"respond-async", `wait="7";foo=bar`}, 7 * time.Second},
		{[]string{"wait=2, wait=9"}, 2 * time.Second},
		{[]string{"wait"}, 0},
		{[]string{"wait=-1"}, 0},
		{[]string{"wait=soon"}, 0},
		{[]string{"wait=99999999999999999999"}, 0},
		{[]string{"waiting=5"}, 0},
		{[]string{""}, 0},
	}
	for _, tt := range tests {
		if got := patience(http.Header{"Prefer": tt.prefer}); got != tt.want {
			t.Errorf("patience(%q) = %v, want %v", tt.prefer, got, tt.want)
		}
	}
}

// The views of this house rest for an hour after the first thing that they fold: who does not wait is told what they have.
func TestWhoPrefersToWaitIsToldWhatTheLogHas(t *testing.T) {
	h := newHouseThatPauses(t, time.Hour)
	unseen := func(udid string) {
		id := h.names.Device(udid)
		_, err := h.devices.Update(context.Background(), id, eventstore.Meta{}, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: udid, SerialNumber: udid}, Topic: "com.apple.mgmt.test",
				Certificate: device.Certificate{Fingerprint: "cert " + udid}}, at)
		})
		h.ok(err)
	}
	h.enrols("U1", "C01", "iPad", "18.1") // and waits
	unseen("U2")
	ask := func(udid, prefer string) (body, applied string) {
		body = `{"query":"{device(id:\"` + udid + `\"){serialNumber}}"}`
		rec := h.sendWith(operator.Viewer, http.MethodPost, "/graphql", "application/json", body, "Prefer", prefer)
		return rec.Body.String(), rec.Header().Get("Preference-Applied")
	}
	if body, applied := ask("U2", "wait=5"); !strings.Contains(body, `"serialNumber":"U2"`) || applied != "wait=5" {
		t.Errorf("who waits is told %s, applied %q", body, applied)
	}
	h.stop()
	unseen("U3")
	if body, applied := ask("U3", "wait=1"); !strings.Contains(body, `{"data":{"device":null}}`) || applied != "" {
		t.Errorf("of views that stand still, who waited is told %s, applied %q", body, applied)
	}
}

package graphql

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

const revealUnlockToken = `mutation { revealSecret(device: "U1", kind: UNLOCK_TOKEN, reason: "the passcode is forgotten") }`

// reveals lets a house reveal secrets over a log that can fail.
func (h *house) reveals() *eventstoretest.Faulty {
	h.t.Helper()
	codec := h.door.Evidence.(*seal.Codec[domain.Event])
	f := &eventstoretest.Faulty{Log: h.log}
	h.door.Secrets = &handlers.Secrets{Log: f, Views: h.views, Codec: codec, Devices: &eventstore.Repository[device.Device, domain.Event]{
		Log: f, Codec: codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size, Now: h.clock,
	}}
	return f
}

// revealed counts the events that say that somebody was shown a secret.
func (h *house) revealed() (n int) {
	h.t.Helper()
	stream := eventstore.Stream{Kind: device.Kind, ID: h.names.Device("U1")}
	for env, err := range h.log.ReadStream(h.t.Context(), stream, 0, eventstore.Forward) {
		h.ok(err)
		if env.Type == (device.SecretRevealed{}).EventType() {
			n++
		}
	}
	return n
}

// T97: whichever call of the log fails, nobody is shown a secret unless the event that says so was written.
func TestNoSecretIsShownThatTheLogDoesNotTellOf(t *testing.T) {
	want := base64.StdEncoding.EncodeToString([]byte("canary-unlock"))
	for name, fault := range map[string]eventstoretest.Fault{
		"refused": eventstoretest.Refused, "lost": eventstoretest.Lost, "conflict": eventstoretest.Conflict,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			f := h.reveals()
			h.enrols("U1", "C02XYZ", "iPhone15,2", "18.1")
			refusals := 0
			for n := 1; ; n++ {
				before := h.revealed()
				f.Arm(n, fault)
				_, got := h.post(operator.Operator, revealUnlockToken, nil)
				met := f.Met()
				f.Arm(0, fault)
				shown := got.text("revealSecret")
				if shown != "" && (shown != want || h.revealed() == before) {
					t.Errorf("call %d failed; %q was shown, with %d events before and %d after", n, shown, before, h.revealed())
				}
				if shown == "" && len(got.Errors) == 0 {
					t.Errorf("call %d failed; nothing was shown, and nothing said", n)
				}
				if shown == "" {
					refusals++
				}
				if strings.Contains(h.logged.String(), want) {
					t.Fatalf("the secret stands in the server's log: %s", h.logged)
				}
				if !met {
					if shown != want || n < 4 {
						t.Errorf("after %d calls nothing failed any more, and %q was shown: %+v", n-1, shown, got.Errors)
					}
					break
				}
			}
			if refusals == 0 {
				t.Error("no fault kept a secret from being shown: the faults did not reach it")
			}
		})
	}
}

// While nothing can be written, nothing is shown; as soon as it can, it is.
func TestALogThatTakesNothingShowsNothing(t *testing.T) {
	h := newHouse(t)
	f := h.reveals()
	h.enrols("U1", "C02XYZ", "iPhone15,2", "18.1")
	h.asks(operator.Operator, revealUnlockToken, nil)
	f.Down(true)
	for range 3 {
		if _, got := h.post(operator.Operator, revealUnlockToken, nil); got.text("revealSecret") != "" || len(got.Errors) != 1 {
			t.Errorf("with the log away the answer is %+v", got)
		}
	}
	f.Down(false)
	h.asks(operator.Operator, revealUnlockToken, nil)
	if n := h.revealed(); n != 2 {
		t.Errorf("it was shown twice, and the log says %d times", n)
	}
}

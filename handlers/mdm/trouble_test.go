package mdm

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/projections"
)

// troubled has no answer for now.
type troubled struct {
	nothingDeclared
	err error
}

func (t troubled) Set(context.Context, string, device.ChannelID) (declaration.Set, time.Time, error) {
	return declaration.Set{}, time.Time{}, t.err
}

func (t troubled) Document(context.Context, string, device.ChannelID, string, string) (json.RawMessage, bool, error) {
	return nil, false, t.err
}

// Lesson 83: 404 for a declaration makes a device delete it. A server that cannot tell for now, because its views are being
// built or its disk fails, says that it cannot tell, and keeps no event that says otherwise.
func TestTroubleIsNoWithdrawal(t *testing.T) {
	for name, err := range map[string]error{"views that are being built": projections.ErrBuilding, "a disk that fails": errors.New("disk I/O error")} {
		t.Run(name, func(t *testing.T) {
			h := build(t, func(h *house) { h.door.Declarations = troubled{err: err} })
			g := h.enrolled("U1")
			for _, endpoint := range []string{"tokens", "declaration-items", "declaration/configuration/passcode"} {
				w := g.put("/mdm/checkin", xml(t, map[string]any{"UDID": "U1", "MessageType": "DeclarativeManagement", "Endpoint": endpoint}), byProxy(g.id))
				if w.Code < 500 {
					t.Errorf("%s is answered %d %q", endpoint, w.Code, w.Body)
				}
			}
			for _, r := range g.history() {
				if _, is := r.event.(device.DeclarationsFetched); is {
					t.Errorf("the log says that it was answered: %+v", r.event)
				}
			}
		})
	}
}

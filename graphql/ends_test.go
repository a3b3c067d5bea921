package graphql

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/handlers"
)

func TestWhatTheServerDependsOnEnds(t *testing.T) {
	h := newHouse(t)
	m := h.certifies()
	head, err := h.log.Head(t.Context())
	h.ok(err)
	h.ok(h.views.Wait(t.Context(), head))
	soon := h.clock().Add(20*24*time.Hour + time.Hour)
	h.door.Ends = func() []handlers.End {
		return []handlers.End{
			{Kind: handlers.EndsSigner, Name: "CN=Signer", NotBefore: h.clock(), NotAfter: h.clock().AddDate(3, 0, 0)},
			{Kind: handlers.EndsServer, Name: "CN=mdm.example.com", NotBefore: h.clock().AddDate(-1, 0, 0), NotAfter: soon},
		}
	}
	h.expect(h.asks(operator.Viewer, `{certificateEnds{kind name notAfter daysLeft devices} warned:certificateEnds{warning} within:certificateEnds(within:30){kind}}`, nil), map[string]string{
		"certificateEnds.0.kind": `"SERVER"`, "certificateEnds.0.daysLeft": "20", "certificateEnds.0.devices": "null",
		"certificateEnds.1.kind": `"PROFILE_SIGNER"`, "certificateEnds.2.kind": `"ROOT"`, "certificateEnds.2.devices": "0",
		"certificateEnds.2.name": `"` + m.Standing().Roots[0].Fingerprint + `"`, "warned.0.warning": `"` + handlers.Advice(handlers.EndsServer) + `"`, "warned.1.warning": "null",
		"within": `[{"kind":"SERVER"}]`,
	})
}

package graphql

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/escrow"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// escrows lets a house keep recovery keys, and makes it a key pair.
func (h *house) escrows() *x509.Certificate {
	h.t.Helper()
	h.reveals()
	codec := h.door.Evidence.(*seal.Codec[domain.Event])
	h.door.Secrets.Devices = h.devices
	h.door.Secrets.Escrow = &handlers.Escrow{Now: h.clock, Pairs: &eventstore.Repository[escrow.Escrow, domain.Event]{
		Log: h.log, Codec: codec, Kind: escrow.Kind, Fold: escrow.Escrow.Evolve, Now: h.clock,
	}}
	return h.newEscrow("")
}

func (h *house) newEscrow(reason string) *x509.Certificate {
	h.t.Helper()
	made := h.asks(operator.Administrator, `mutation($reason: String) { makeFileVaultEscrow(reason: $reason) { certificate profile } }`, map[string]any{"reason": reason})
	der, err := base64.StdEncoding.DecodeString(made.text("makeFileVaultEscrow.certificate"))
	h.ok(err)
	certificate, err := x509.ParseCertificate(der)
	h.ok(err)
	if !strings.Contains(made.text("makeFileVaultEscrow.profile"), made.text("makeFileVaultEscrow.certificate")) {
		h.t.Error("the profile does not hold the certificate")
	}
	return certificate
}

// gives has U1 answer a SecurityInfo with a recovery key that is encrypted for a certificate.
func (h *house) gives(key string, to *x509.Certificate) {
	h.t.Helper()
	message, err := pkcs7.Encrypt([]byte(key), []*x509.Certificate{to})
	h.ok(err)
	h.givesMessage(message)
}

func (h *house) givesMessage(message []byte) {
	h.t.Helper()
	h.asks(operator.Operator, `mutation { securityInfo(device: "U1") { uuid } }`, nil)
	h.reports("SecurityInfo", map[string]any{"SecurityInfo": map[string]any{"FDE_Enabled": true, "FDE_PersonalRecoveryKeyCMS": message}})
}

// reports has U1 fetch a command and acknowledge it with a result, as its door would cut it; it returns the command.
func (h *house) reports(requestType string, result map[string]any) device.Item {
	h.t.Helper()
	uuid := h.connects("U1", device.Report{Status: device.Idle})
	dev, _, err := h.devices.Load(h.t.Context(), h.names.Device("U1"))
	h.ok(err)
	item, _, waits := dev.Item(uuid)
	if !waits || item.RequestType != requestType {
		h.t.Fatalf("it was handed %q (%v), want %s", item.RequestType, waits, requestType)
	}
	text, err := json.Marshal(result)
	h.ok(err)
	open, secrets, err := command.Split(requestType, text)
	h.ok(err)
	h.connects("U1", device.Report{Status: device.Acknowledged, UUID: uuid, Result: open, Secrets: secrets})
	return item
}

func (h *house) escrowed() (n int) {
	h.t.Helper()
	stream := eventstore.Stream{Kind: device.Kind, ID: h.names.Device("U1")}
	for env, err := range h.log.ReadStream(h.t.Context(), stream, 0, eventstore.Forward) {
		h.ok(err)
		if env.Type == (device.RecoveryKeyEscrowed{}).EventType() {
			n++
		}
	}
	return n
}

func (h *house) recoveryKey() string {
	h.t.Helper()
	return h.asks(operator.Operator, `mutation { revealSecret(device: "U1", kind: FILEVAULT_RECOVERY_KEY, reason: "locked out") }`, nil).text("revealSecret")
}

func TestARecoveryKeyIsEscrowedRotatedAndShown(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "C02XYZ", "Mac14,2", "15.1")
	certificate := h.escrows()
	h.gives("AAAA-BBBB-CCCC-DDDD-EEEE-FFFF", certificate)
	if got := h.recoveryKey(); got != "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF" {
		t.Fatalf("the key is shown as %q", got)
	}

	// The same message again is no news; a new one is, and the one before is kept.
	same, err := pkcs7.Encrypt([]byte("1111-2222"), []*x509.Certificate{certificate})
	h.ok(err)
	h.givesMessage(same)
	h.pass(time.Hour)
	h.givesMessage(same)
	if got, n := h.recoveryKey(), h.escrowed(); got != "1111-2222" || n != 2 {
		t.Errorf("the key is %q after %d escrows, want 2", got, n)
	}

	// The Mac is told the key that is known, and whom it is to encrypt the new one for.
	h.asks(operator.Operator, `mutation { rotateRecoveryKey(device: "U1", reason: "it was shown") { uuid } }`, nil)
	fresh, err := pkcs7.Encrypt([]byte("3333-4444"), []*x509.Certificate{certificate})
	h.ok(err)
	ordered := h.reports("RotateFileVaultKey", map[string]any{"RotateResult": map[string]any{"EncryptedNewRecoveryKey": fresh}})
	text, err := plist.ToJSON(ordered.Body)
	h.ok(err)
	for _, want := range []string{`"Password":"1111-2222"`, `"KeyType":"personal"`, base64.StdEncoding.EncodeToString(certificate.Raw)} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the Mac is not told %s", want)
		}
	}
	if strings.Contains(string(ordered.Parameters), "1111-2222") {
		t.Error("the key stands where people can read it")
	}
	if got := h.recoveryKey(); got != "3333-4444" {
		t.Errorf("after the rotation the key is %q", got)
	}
	past := h.asks(operator.Operator, `{ device(id: "U1") { secrets(history: true) { kind position } } }`, nil)
	before, ok := past.at("device.secrets.1").(map[string]any)
	if !ok {
		t.Fatalf("the key before is not listed: %v", past.Data)
	}
	shown := h.asks(operator.Operator, `mutation($at: ID) { revealSecret(device: "U1", kind: FILEVAULT_RECOVERY_KEY, position: $at, reason: "an old backup") }`, map[string]any{"at": before["position"]})
	if got := shown.text("revealSecret"); got != "1111-2222" {
		t.Errorf("the key before is %q", got)
	}

	// After a new pair was made, the old one still opens what is for it.
	second := h.newEscrow("the old one was seen")
	if got := h.recoveryKey(); got != "3333-4444" {
		t.Errorf("with another pair the key is %q", got)
	}
	h.gives("5555-6666", second)
	if got := h.recoveryKey(); got != "5555-6666" {
		t.Errorf("for the other pair the key is %q", got)
	}
	for _, secret := range []string{"1111-2222", "3333-4444", "AAAA-BBBB"} {
		if strings.Contains(h.logged.String(), secret) {
			t.Error("a recovery key is in the log of the server")
		}
	}
}

func TestARecoveryKeyThatIsNotForThisServer(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "C02XYZ", "Mac14,2", "15.1")
	h.escrows()
	other := newHouse(t)
	other.enrols("U1", "C02XYZ", "Mac14,2", "15.1")
	h.gives("AAAA-BBBB", other.escrows())
	if got := h.recoveryKey(); strings.Contains(got, "AAAA") || len(got) < 500 {
		t.Errorf("a key for somebody else is shown as %q", got)
	}
	_, refused := h.post(operator.Operator, `mutation { rotateRecoveryKey(device: "U1", reason: "x") { uuid } }`, nil)
	if len(refused.Errors) == 0 || !strings.Contains(refused.Errors[0].Message, "encrypted for another certificate") {
		t.Errorf("it is rotated all the same: %+v", refused)
	}
	for _, role := range []operator.Role{operator.Viewer, operator.Auditor, operator.Operator} {
		if _, out := h.post(role, `mutation { makeFileVaultEscrow(reason: "x") { certificate } }`, nil); len(out.Errors) == 0 {
			t.Errorf("a %s makes key pairs", role)
		}
	}
}

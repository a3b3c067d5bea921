package mdm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// maxEndpoint is how long an endpoint may be, in bytes. An identifier has 64 at most, perhaps percent-encoded.
const maxEndpoint = 256

// declarationKinds are the kinds of declarations, as endpoints name them.
var declarationKinds = []string{"activation", "asset", "configuration", "management"}

// emptySet is the token of a set without declarations. It never changes, so that a device asks no further.
var emptySet = hex.EncodeToString(sha256.New().Sum(nil))

// The documents of a set without declarations. Its last change was never. Source: protocol of declarative
// management, "tokens" and "declaration-items".
var (
	emptyTokens = mustJSON(map[string]any{
		"SyncTokens": map[string]any{"DeclarationsToken": emptySet, "Timestamp": "2001-01-01T00:00:00Z"},
	})
	emptyItems = mustJSON(map[string]any{
		"Declarations": map[string]any{
			"Activations": []any{}, "Assets": []any{}, "Configurations": []any{}, "Management": []any{},
		},
		"DeclarationsToken": emptySet,
	})
)

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of a constant: a slip of ours
	}
	return text
}

// declarativeManagement takes the messages of declarative management. No declarations are given out yet: a device
// finds a valid, empty set, and its reports are kept.
func (d *Door) declarativeManagement(r *request) (answer, error) {
	endpoint := r.message.String("Endpoint")
	kind, name, ofOne := strings.Cut(strings.TrimPrefix(endpoint, "declaration/"), "/")
	switch {
	case endpoint == "tokens":
		return d.declarations(r, endpoint, answer{status: http.StatusOK, contentType: jsonType, body: emptyTokens})
	case endpoint == "declaration-items":
		return d.declarations(r, endpoint, answer{status: http.StatusOK, contentType: jsonType, body: emptyItems})
	case endpoint == "status":
		return d.declarationStatus(r)
	case strings.HasPrefix(endpoint, "declaration/") && ofOne && name != "" && len(endpoint) <= maxEndpoint && slices.Contains(declarationKinds, kind):
		return d.declarations(r, endpoint, answer{status: http.StatusNotFound})
	}
	return answer{}, &malformed{class: "unknown-message", text: "declarative management has no such Endpoint"}
}

func (d *Door) declarations(r *request, endpoint string, a answer) (answer, error) {
	_, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return dev.FetchDeclarations(r.sender.channel, endpoint, a.status == http.StatusOK)
	})
	return a, err
}

func (d *Door) declarationStatus(r *request) (answer, error) {
	report := r.message.Bytes("Data")
	if !json.Valid(report) {
		return answer{}, &malformed{text: "the status report is no JSON"}
	}
	_, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return dev.ReportDeclarationStatus(r.sender.channel, report)
	})
	return kept, err
}

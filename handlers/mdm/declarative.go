package mdm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// maxEndpoint is how long an endpoint may be, in bytes. An identifier has 64 at most, perhaps percent-encoded.
const maxEndpoint = 256

// declarativeManagement takes the messages of declarative management. Source: Apple, DeclarativeManagementRequest.
func (d *Door) declarativeManagement(r *request) (answer, error) {
	endpoint := r.message.String("Endpoint")
	kind, name, ofOne := strings.Cut(strings.TrimPrefix(endpoint, "declaration/"), "/")
	switch {
	case endpoint == "tokens", endpoint == "declaration-items":
		return d.declarations(r, endpoint, "", "")
	case endpoint == "status":
		return d.declarationStatus(r)
	case strings.HasPrefix(endpoint, "declaration/") && ofOne && name != "" && len(endpoint) <= maxEndpoint && slices.Contains(declaration.Kinds(), kind):
		return d.declarations(r, endpoint, kind, name)
	}
	return answer{}, &malformed{class: "unknown-message", text: "declarative management has no such Endpoint"}
}

// declarations answers what a channel asks about its set. Whoever may not speak for the device learns nothing of it.
func (d *Door) declarations(r *request, endpoint, kind, identifier string) (answer, error) {
	if _, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return nil, errors.Join(withholds(dev), dev.Declares())
	}); err != nil {
		return answer{}, err
	}
	text, found, err := d.declared(r, endpoint, kind, identifier)
	if err != nil {
		return answer{}, err
	}
	_, err = d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return dev.FetchDeclarations(r.sender.channel, endpoint, found)
	})
	if !found {
		return answer{status: http.StatusNotFound}, err
	}
	return answer{status: http.StatusOK, contentType: jsonType, body: text}, err
}

// declared returns the document that a channel asks for; found is false if it is to have no such declaration.
func (d *Door) declared(r *request, endpoint, kind, identifier string) (text json.RawMessage, found bool, err error) {
	if kind != "" {
		return d.Declarations.Document(r.ctx, r.sender.device, r.sender.channel, kind, identifier)
	}
	set, changed, err := d.Declarations.Set(r.ctx, r.sender.device, r.sender.channel)
	switch {
	case err != nil:
		return nil, false, err
	case endpoint == "tokens":
		return set.Tokens(changed), true, nil
	}
	return set.Manifest(), true, nil
}

// nothingDeclared has no declarations for anybody.
type nothingDeclared struct{}

func (nothingDeclared) Set(context.Context, string, device.ChannelID) (declaration.Set, time.Time, error) {
	return declaration.NewSet(nil, declaration.Capabilities{}), time.Time{}, nil
}

func (nothingDeclared) Document(context.Context, string, device.ChannelID, string, string) (json.RawMessage, bool, error) {
	return nil, false, nil
}

func (nothingDeclared) Download(context.Context, string, string) (handlers.Download, bool, error) {
	return handlers.Download{}, false, nil
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

package assign

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/projections"
)

// steps returns the commands that bring a thing; none if the views are behind: they will come to it. What the thing itself does
// not say stands in the library, its variables filled for this channel.
func (b bringing) steps(ctx context.Context, s projections.Standing) ([]wanted.Step, error) {
	thing, _, err := b.Things.Load(ctx, s.Thing)
	if err != nil {
		return nil, fmt.Errorf("read what is wanted: %w", err)
	}
	if thing.Version == "" {
		if thing.Revision != s.Revision {
			return nil, nil
		}
		if s.Settles {
			_, identifier := wanted.Split(s.Thing)
			return thing.Reconfigure(identifier), nil
		}
		return thing.Steps, nil
	}
	_, identifier := wanted.Split(s.Thing)
	v, err := b.Library.Version(ctx, identifier, thing.Version)
	if err != nil || v.Revision != s.Revision {
		return nil, err
	}
	payload, err := b.Library.Fill(ctx, v, b.device, b.channel)
	if err != nil {
		return nil, err
	}
	return []wanted.Step{{RequestType: "InstallProfile", Parameters: map[string]any{"Payload": base64.StdEncoding.EncodeToString(payload)}}}, nil
}

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/renew"
	"github.com/rollcall-mdm/rollcall/projections"
)

// renewer is who has devices get another certificate before theirs ends.
func (s *server) renewer() *renew.Worker {
	return &renew.Worker{Views: s.views, Devices: s.devices, Profile: s.renewedProfile, Now: s.now, Logger: s.logger}
}

// renewedProfile makes the enrolment profile that takes the place of a device's own. Its challenge is good for this device
// and for one key; it asks for no more rights than the one before it.
func (s *server) renewedProfile(ctx context.Context, w renew.Wish) ([]byte, error) {
	identifier, err := s.enrolmentOf(ctx, w.Device)
	if err != nil {
		return nil, err
	}
	v, err := s.enrolments.Profile(ctx, handlers.Wish{
		Pass:  handlers.Pass{Road: cmp.Or(w.Road, enrollment.Profile), Device: w.Device, Order: w.Order, Once: true, Lasts: w.Lasts},
		Topic: w.Topic, Rights: w.Rights, Identifier: identifier, Mode: w.Mode, Account: w.Account,
	})
	if err != nil {
		return nil, err
	}
	return handlers.WriteProfile(v)
}

// enrolmentOf returns the identifier of the profile that manages a device, as its last list of profiles has it; empty if it
// has told none.
func (s *server) enrolmentOf(ctx context.Context, device string) (string, error) {
	list, err := s.views.Facts(ctx, device, "profile.", projections.Now)
	if err != nil {
		return "", fmt.Errorf("find the profile that manages a device: %w", err)
	}
	for _, f := range list {
		var told struct {
			PayloadContent []struct{ PayloadType string }
		}
		if json.Unmarshal(f.Value, &told) == nil && slices.ContainsFunc(told.PayloadContent, func(p struct{ PayloadType string }) bool { return p.PayloadType == profile.TypeMDM }) {
			return strings.TrimPrefix(f.Key, "profile."), nil
		}
	}
	return "", nil
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// asOf prints how the device, or the fleet if there is no id, was at the moment that was asked for.
func (r *replay) asOf(ctx context.Context, id string) error {
	at, err := r.read.PositionAt(ctx, r.AsOf.Time)
	if err != nil {
		return err
	}
	if id != "" {
		return r.deviceAsOf(ctx, id, at)
	}
	return r.fleetAsOf(ctx, at)
}

// A deviceState is a device at a moment, as it is printed for programs.
type deviceState struct {
	Position eventstore.Position        `json:"position"`
	Device   deviceLine                 `json:"device"`
	Facts    map[string]json.RawMessage `json:"facts"`
}

// A deviceLine is what of a device stands in a list.
type deviceLine struct {
	ID             string               `json:"id"`
	UDID           string               `json:"udid,omitempty"`
	EnrollmentID   string               `json:"enrollmentId,omitempty"`
	SerialNumber   string               `json:"serialNumber,omitempty"`
	Name           string               `json:"name,omitempty"`
	ProductName    string               `json:"productName,omitempty"`
	Platform       projections.Platform `json:"platform,omitempty"`
	OSVersion      string               `json:"osVersion,omitempty"`
	Status         string               `json:"status"`
	StatusReason   string               `json:"statusReason,omitempty"`
	EnrollmentType string               `json:"enrollmentType,omitempty"`
	Generation     int                  `json:"generation"`
	Supervised     *bool                `json:"supervised,omitempty"`
	EnrolledAt     time.Time            `json:"enrolledAt,omitzero"`
	LastSeenAt     time.Time            `json:"lastSeenAt,omitzero"`
	LastPushAt     time.Time            `json:"lastPushAt,omitzero"`
	QueueLength    int                  `json:"queueLength"`
}

func lineOf(d projections.Device) deviceLine {
	return deviceLine{
		ID: d.ID, UDID: d.UDID, EnrollmentID: d.EnrollmentID, SerialNumber: d.SerialNumber, Name: d.Name,
		ProductName: d.ProductName, Platform: d.Platform, OSVersion: d.OSVersion, Status: string(d.Status),
		StatusReason: d.StatusReason, EnrollmentType: d.EnrollmentType, Generation: d.Generation, Supervised: d.Supervised,
		EnrolledAt: d.EnrolledAt, LastSeenAt: d.LastSeenAt, LastPushAt: d.LastPushAt, QueueLength: d.QueueLength,
	}
}

func (r *replay) deviceAsOf(ctx context.Context, id string, at eventstore.Position) error {
	d, found, err := r.read.Device(ctx, id, at)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("the device was not known at %s", r.AsOf.Format(time.RFC3339))
	}
	facts, err := r.read.Facts(ctx, id, "", at)
	if err != nil {
		return err
	}
	state := deviceState{at, lineOf(d), map[string]json.RawMessage{}}
	for _, f := range facts {
		state.Facts[f.Key] = f.Value
	}
	if r.JSON {
		return json.NewEncoder(r.out).Encode(state)
	}
	fmt.Fprintf(r.out, "%s at %s (position %d)\n", printable(d.Label()), r.AsOf.Format(time.RFC3339), at)
	fmt.Fprintf(r.out, "status: %s%s, enrolment %d, last seen %s, %d waiting\n", d.Status, aside(printable(d.StatusReason)), d.Generation,
		stamp(d.LastSeenAt), d.QueueLength)
	for _, key := range slices.Sorted(maps.Keys(state.Facts)) {
		if _, err := fmt.Fprintf(r.out, "%s: %s\n", key, state.Facts[key]); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) fleetAsOf(ctx context.Context, at eventstore.Position) error {
	if !r.JSON {
		fleet, err := r.read.Fleet(ctx, at)
		if err != nil {
			return err
		}
		fmt.Fprintf(r.out, "%d devices at %s (position %d)", fleet.Devices, r.AsOf.Format(time.RFC3339), at)
		for _, status := range slices.Sorted(maps.Keys(fleet.ByStatus)) {
			fmt.Fprintf(r.out, ", %d %s", fleet.ByStatus[status], status)
		}
		fmt.Fprintf(r.out, "; %d commands waited\n", fleet.WaitingTotal)
	}
	page := projections.Page{First: 500}
	for {
		list, err := r.read.Devices(ctx, projections.DeviceQuery{Page: page, AsOf: at})
		if err != nil {
			return err
		}
		for _, e := range list.Edges {
			if err := r.printDevice(e.Node); err != nil {
				return err
			}
			page.After = e.Cursor
		}
		if !list.HasNext {
			return nil
		}
	}
}

func (r *replay) printDevice(d projections.Device) error {
	if r.JSON {
		return json.NewEncoder(r.out).Encode(lineOf(d))
	}
	_, err := fmt.Fprintf(r.out, "%s  %s  %s  %s  last seen %s\n", printable(d.Label()), d.Status, orDash(d.ProductName), orDash(d.OSVersion), stamp(d.LastSeenAt))
	return err
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

// printable returns text from outside, such as a device's name, without what could command a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}

func aside(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

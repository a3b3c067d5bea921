package graphql

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/projections"
)

// What a device told of an update: that it could be installed, that it was scheduled, how far it is.
const (
	availableUpdates = "update."
	scheduledUpdates = "update-scheduled."
	updateStatuses   = "update-status."
)

// An osUpdate is what is known of one update on one device. Empty pieces are not known.
type osUpdate struct {
	key                          string
	available, scheduled, status *piece
}

// A fleetUpdate is how many devices told what of one update.
type fleetUpdate struct {
	key, name, version   string
	available, scheduled int
	statuses             map[string]int
}

func (t *types) makeUpdates() {
	t.updateStep = t.object("OSUpdateStep", "What a device told of an update.", func() graphql.Fields {
		return graphql.Fields{
			"action":     told[string]("What was asked for: InstallASAP, DownloadOnly …", "InstallAction", graphql.String),
			"status":     told[string]("As Apple calls it: Idle, Downloading, Installing …", "Status", graphql.String),
			"downloaded": told[bool]("", "IsDownloaded", graphql.Boolean),
			"percent":    told[float64]("Of the download, from 0 to 1.", "DownloadPercentComplete", graphql.Float),
			"since":      get("", timeScalar, func(p piece) any { return p.since }),
			"value":      get("All that it told.", jsonScalar, func(p piece) any { return p.value }),
		}
	})
	step := func(about string, of func(osUpdate) *piece) *graphql.Field {
		return get(about, t.updateStep, func(u osUpdate) any {
			if p := of(u); p != nil {
				return *p
			}
			return nil
		})
	}
	t.update = t.object("OSUpdate", "An update of an operating system on a device, as it was at the device's moment.", func() graphql.Fields {
		return graphql.Fields{
			"productKey": get("Apple's; its version where it has none.", must(graphql.ID), func(u osUpdate) any { return u.key }),
			"name":       get("", graphql.String, func(u osUpdate) any { return orNull(u.told("HumanReadableName")) }),
			"version":    get("", graphql.String, func(u osUpdate) any { return orNull(u.told("Version")) }),
			"available":  step("It could be installed; null if the device has not said so, or no longer.", func(u osUpdate) *piece { return u.available }),
			"scheduled":  step("What ScheduleOSUpdate was answered.", func(u osUpdate) *piece { return u.scheduled }),
			"status":     step("What OSUpdateStatus was answered.", func(u osUpdate) *piece { return u.status }),
		}
	})
	t.fleetUpdate = t.object("FleetUpdate", "An update of an operating system, and how many devices told what of it.", func() graphql.Fields {
		return graphql.Fields{
			"productKey": get("", must(graphql.ID), func(u fleetUpdate) any { return u.key }),
			"name":       get("", graphql.String, func(u fleetUpdate) any { return orNull(u.name) }),
			"version":    get("", graphql.String, func(u fleetUpdate) any { return orNull(u.version) }),
			"available":  get("Devices that could install it.", must(graphql.Int), func(u fleetUpdate) any { return u.available }),
			"scheduled":  get("Devices that were told to.", must(graphql.Int), func(u fleetUpdate) any { return u.scheduled }),
			"statuses":   get("Devices by what they told of their progress: an object.", must(jsonScalar), func(u fleetUpdate) any { return u.statuses }),
		}
	})
}

// told returns a text that the device told of the update.
func (u osUpdate) told(key string) (text string) {
	if u.available != nil {
		_ = json.Unmarshal(u.available.keys[key], &text) // what is no text is not told
	}
	return text
}

func deviceUpdates(ctx context.Context, r *run, s seen) (any, error) {
	byKey := map[string]*osUpdate{}
	for prefix, place := range map[string]func(*osUpdate) **piece{
		availableUpdates: func(u *osUpdate) **piece { return &u.available },
		scheduledUpdates: func(u *osUpdate) **piece { return &u.scheduled },
		updateStatuses:   func(u *osUpdate) **piece { return &u.status },
	} {
		list, err := r.pieces(ctx, s, prefix)
		if err != nil {
			return nil, err
		}
		for i := range list {
			u := byKey[list[i].ident]
			if u == nil {
				u = &osUpdate{key: list[i].ident}
				byKey[u.key] = u
			}
			*place(u) = &list[i]
		}
	}
	all := make([]osUpdate, 0, len(byKey))
	for _, u := range byKey {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b osUpdate) int { return strings.Compare(a.key, b.key) })
	return all, nil
}

func fleetUpdates(ctx context.Context, r *run, a args) (any, error) {
	when, err := r.moment(ctx, a)
	if err != nil {
		return nil, err
	}
	counts, err := r.Views.Updates(ctx, when.at)
	if err != nil {
		return nil, err
	}
	byKey := map[string]*fleetUpdate{}
	for _, c := range counts {
		area, key, _ := strings.Cut(c.Key, ".")
		u := byKey[key]
		if u == nil {
			u = &fleetUpdate{key: key, statuses: map[string]int{}}
			byKey[key] = u
		}
		u.add(area+".", c)
	}
	all := make([]fleetUpdate, 0, len(byKey))
	for _, u := range byKey {
		all = append(all, *u)
	}
	slices.SortFunc(all, func(a, b fleetUpdate) int { return strings.Compare(a.key, b.key) })
	return all, nil
}

func (u *fleetUpdate) add(area string, c projections.UpdateCount) {
	var told struct{ HumanReadableName, Version, Status string }
	_ = json.Unmarshal(c.Value, &told) // what is no object tells nothing
	switch area {
	case availableUpdates:
		u.available += c.Devices
		u.name, u.version = told.HumanReadableName, told.Version
	case scheduledUpdates:
		u.scheduled += c.Devices
	case updateStatuses:
		u.statuses[told.Status] += c.Devices
	}
}

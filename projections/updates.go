package projections

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

// scheduledArea is where it stands which updates were scheduled. Beside it, update. has what a device could install, and
// update-status. how far it is.
const scheduledArea = "update-scheduled."

// unschedule ends what was scheduled and is no longer available: it was installed, or taken back.
func (f *facts) unschedule(tx Tx, r *record, result json.RawMessage) error {
	raw, err := rawjson.Get(result, "AvailableOSUpdates")
	if err != nil || raw == nil {
		return err
	}
	area, err := f.names.id(areas, scheduledArea)
	if err != nil {
		return err
	}
	scheduled, err := f.area(tx, r.device, area)
	if err != nil || len(scheduled) == 0 {
		return err
	}
	entries, err := f.entries(tx, lists["AvailableOSUpdates"], scheduledArea, raw)
	if err != nil {
		return err
	}
	for _, one := range entries {
		delete(scheduled, one.key)
	}
	for _, key := range slices.Sorted(maps.Keys(scheduled)) {
		if err := f.end(tx, r, area, scheduled[key]); err != nil {
			return err
		}
	}
	return nil
}

// An UpdateCount says how many devices told the same of an update.
type UpdateCount struct {
	Key     string // of the fact: update., update-scheduled. or update-status., and the product key
	Value   json.RawMessage
	Devices int
}

// updateAreas are all that tells of updates.
var updateAreas = []string{"update.", scheduledArea, "update-status."}

// Updates counts what the devices of a fleet told of updates of their operating systems, at a moment, by key.
func (v *Views) Updates(ctx context.Context, asOf eventstore.Position) (list []UpdateCount, err error) {
	err = v.read(ctx, func(tx Tx) error {
		for _, text := range updateAreas {
			area, err := idOf(tx, areas, text)
			if err != nil {
				return err
			}
			if area == 0 {
				continue
			}
			err = tx.Query(`SELECT k.text, COALESCE(f.value, v.value), COUNT(*) FROM (
				SELECT p.key, p.object, p.value FROM fleet d CROSS JOIN facts p ON p.device = d.device AND p.area = ? AND p.since <= ?
				UNION ALL SELECT p.key, p.object, p.value FROM fleet d CROSS JOIN facts_past p ON p.device = d.device AND p.area = ? AND p.since <= ? AND p.until > ?) f
				JOIN names k ON k.vocabulary = 5 AND k.id = f.key LEFT JOIN fact_values v ON v.id = f.object
				GROUP BY 1, 2 ORDER BY 1, 2`, []any{area, int64(asOf), area, int64(asOf), int64(asOf)}, func(r Row) error {
				list = append(list, UpdateCount{r.Text(0), json.RawMessage(r.Text(1)), int(r.Int(2))})
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

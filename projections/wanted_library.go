package projections

import (
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
)

// put writes what a thing is from now on. Which version of the library's is the latest, this view knows by itself: whoever
// put the thing may have looked a moment before it changed.
func (w wantedView) put(tx Tx, r *record, actor any, e wanted.Put) error {
	revision, uuid, shown := e.Revision, e.UUID, string(e.Shown)
	if e.Version == wanted.Latest {
		_, identifier := wanted.Split(r.env.Stream.ID)
		if _, err := one(tx, `SELECT revision, uuid, shown FROM wanted_library WHERE id = ?`, []any{identifier},
			func(row Row) { revision, uuid, shown = row.Text(0), row.Text(1), row.Text(2) }); err != nil {
			return err
		}
	}
	return w.insert(tx, r, r.env.Stream.ID, actor, wantedRow{revision, e.Base, uuid, e.Version, int64(e.Every), shown})
}

// A wantedRow is what a thing is.
type wantedRow struct {
	revision, base, uuid, version string
	every                         int64
	shown                         string
}

func (w wantedView) insert(tx Tx, r *record, id string, actor any, row wantedRow) error {
	return tx.Exec(`INSERT INTO wanted_things (id, since, actor, revision, base, uuid, version, every, shown) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, r.position, actor, row.revision, row.base, row.uuid, row.version, row.every, row.shown)
}

// stored notes the latest version of a profile of the library. A thing that follows it is another one from now on.
func (w wantedView) stored(tx Tx, r *record, e profile.Stored) error {
	shown, err := json.Marshal(map[string]any{"PayloadDisplayName": e.Name, "PayloadUUID": e.UUID})
	if err == nil {
		err = tx.Exec(`INSERT INTO wanted_library (id, revision, uuid, shown) VALUES (?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, uuid = excluded.uuid, shown = excluded.shown`,
			r.env.Stream.ID, e.Revision, e.UUID, string(shown))
	}
	if err != nil {
		return err
	}
	id := wanted.Profile + "/" + r.env.Stream.ID
	var follows int64
	if _, err := onerow(tx, `SELECT COUNT(*) FROM wanted_things WHERE id = ? AND version = ? AND until IS NULL`, []any{id, wanted.Latest}, &follows); err != nil || follows == 0 {
		return err
	}
	actor, err := w.names.actorOf(r)
	if err == nil {
		err = tx.Exec(`UPDATE wanted_things SET until = ? WHERE id = ? AND until IS NULL`, r.position, id)
	}
	if err != nil {
		return err
	}
	return w.insert(tx, r, id, actor, wantedRow{e.Revision, "", e.UUID, wanted.Latest, 0, string(shown)})
}

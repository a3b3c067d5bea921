package projections

import (
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// What is forgotten of a user whose personal data was erased while his device is still managed. It must not matter
// whether the sealed parts could still be opened when the events before were folded.

func (f *fleet) userErased(tx Tx, r *record, channel device.ChannelID) error {
	id, err := f.names.id(channels, string(channel))
	if err != nil {
		return err
	}
	delete(f.users, [2]int64{r.device, id})
	for _, query := range []string{
		`DELETE FROM fleet_users WHERE device = ? AND channel = ?`,
		`DELETE FROM fleet_users_seen WHERE device = ? AND channel = ?`,
	} {
		if err := tx.Exec(query, r.device, id); err != nil {
			return err
		}
	}
	return nil
}

func (c *commands) userErased(tx Tx, r *record, channel device.ChannelID) error {
	id, err := c.names.channel(channel)
	if err != nil {
		return err
	}
	return tx.Exec(`UPDATE commands SET reason = NULL, because = CASE WHEN state = ? THEN because END WHERE device = ? AND channel = ?`,
		Superseded.number(), r.device, id)
}

// userErased forgets all facts that a user's channel told, with their keys and values.
func (f *facts) userErased(tx Tx, r *record, channel device.ChannelID) error {
	prefix := userPrefix(channel)
	const where = ` WHERE device = ? AND area IN (SELECT id FROM names WHERE vocabulary = ? AND text >= ? AND text < ?)`
	args := []any{r.device, int64(areas), prefix, prefix[:len(prefix)-1] + "0"} // after the slash comes 0
	twice := append(args[:len(args):len(args)], args...)
	objects, err := numbersOf(tx, `SELECT object FROM facts`+where+` AND object IS NOT NULL
		UNION SELECT object FROM facts_past`+where+` AND object IS NOT NULL`, twice)
	if err != nil {
		return err
	}
	keyIDs, err := numbersOf(tx, `SELECT key FROM facts`+where+` UNION SELECT key FROM facts_past`+where, twice)
	if err != nil {
		return err
	}
	for _, table := range []string{"facts", "facts_past"} {
		if err := tx.Exec(`DELETE FROM `+table+where, args...); err != nil {
			return err
		}
	}
	return f.drop(tx, objects, keyIDs)
}

func (w *wakeups) userErased(tx Tx, r *record, channel device.ChannelID) error {
	id, err := w.names.id(channels, string(channel))
	if err != nil {
		return err
	}
	at := [2]int64{r.device, id}
	delete(w.kept, at)
	delete(w.dirty, at)
	return tx.Exec(`DELETE FROM wakeups WHERE device = ? AND channel = ?`, r.device, id)
}

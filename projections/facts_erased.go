package projections

import (
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// erased forgets all that is known of a device now, and all that ever was, and what only it had: long values, and
// keys, which may name people. What stays is that it was erased, and when.
func (f *facts) erased(tx Tx, r *record) error {
	both := []any{r.device, r.device}
	objects, err := numbersOf(tx, `SELECT object FROM facts WHERE device = ? AND object IS NOT NULL
		UNION SELECT object FROM facts_past WHERE device = ? AND object IS NOT NULL`, both)
	if err != nil {
		return err
	}
	keyIDs, err := numbersOf(tx, `SELECT key FROM facts WHERE device = ? UNION SELECT key FROM facts_past WHERE device = ?`, both)
	if err != nil {
		return err
	}
	for _, query := range []string{`DELETE FROM facts WHERE device = ?`, `DELETE FROM facts_past WHERE device = ?`} {
		if err := tx.Exec(query, r.device); err != nil {
			return err
		}
	}
	if err := f.drop(tx, objects, keyIDs); err != nil {
		return err
	}
	return f.say(tx, r, statement{"enrollment.status", string(device.StatusCheckedOut)},
		statement{"enrollment.erasedAt", moment(r.at).Format(timeFormat)})
}

// drop deletes those of the values and keys that no device has any more. It reads all facts twice: to erase is rare.
func (f *facts) drop(tx Tx, objects, keyIDs map[int64]bool) error {
	for _, used := range []struct {
		query string
		gone  map[int64]bool
	}{
		{`SELECT DISTINCT object FROM facts WHERE object IS NOT NULL UNION SELECT DISTINCT object FROM facts_past WHERE object IS NOT NULL`, objects},
		{`SELECT DISTINCT key FROM facts UNION SELECT DISTINCT key FROM facts_past`, keyIDs},
	} {
		if len(used.gone) == 0 {
			continue
		}
		if err := tx.Query(used.query, nil, func(r Row) error {
			delete(used.gone, r.Int(0))
			return nil
		}); err != nil {
			return err
		}
	}
	for id := range objects {
		if err := tx.Exec(`DELETE FROM fact_values WHERE id = ?`, id); err != nil {
			return err
		}
	}
	for id := range keyIDs {
		if err := tx.Exec(`DELETE FROM names WHERE vocabulary = ? AND id = ?`, int64(keys), id); err != nil {
			return err
		}
	}
	f.forget()
	clear(f.names.texts[keys]) // numbers that are free again may be given out anew
	return nil
}

func numbersOf(tx Tx, query string, args []any) (map[int64]bool, error) {
	found := map[int64]bool{}
	err := tx.Query(query, args, func(r Row) error {
		found[r.Int(0)] = true
		return nil
	})
	return found, err
}

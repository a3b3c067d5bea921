package projections

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// factSpans is all facts, those that hold and those of the past, of one device.
const factSpans = `FROM (
	SELECT device, area, key, since, NULL AS until, object, value FROM facts WHERE device = ?
	UNION ALL SELECT device, area, key, since, until, object, value FROM facts_past WHERE device = ?) f
	LEFT JOIN names k ON k.vocabulary = 5 AND k.id = f.key
	LEFT JOIN fact_values v ON v.id = f.object
	LEFT JOIN timeline s ON s.position = f.since
	LEFT JOIN timeline u ON u.position = f.until`

const factColumns = `SELECT k.text, COALESCE(f.value, v.value), f.since, s.time, f.until, u.time `

func readFact(r Row) Fact {
	return Fact{
		Key: r.Text(0), Value: json.RawMessage(r.Text(1)), SincePosition: eventstore.Position(r.Int(2)),
		Since: moment(r.Int(3)), UntilPosition: eventstore.Position(r.Int(4)), Until: moment(r.Int(5)),
	}
}

// Facts returns what was known of a device at a moment under the keys that begin with prefix, sorted by key. The
// device is named by pseudonym, UDID, EnrollmentID or serial number.
func (v *Views) Facts(ctx context.Context, deviceID, prefix string, asOf eventstore.Position) (found []Fact, err error) {
	err = v.read(ctx, func(tx Tx) error {
		id, err := deviceNumber(tx, deviceID)
		if err != nil || id == 0 {
			return err
		}
		found, err = factsOf(tx, id, prefix, asOf)
		return err
	})
	return found, err
}

func factsOf(tx Tx, id int64, prefix string, asOf eventstore.Position) (found []Fact, err error) {
	like := escapeLike(prefix) + "%"
	err = tx.Query(factColumns+factSpans+` WHERE f.since <= ? AND (f.until IS NULL OR f.until > ?)
		AND k.text LIKE ? ESCAPE '!' ORDER BY k.text`, []any{id, id, int64(asOf), int64(asOf), like},
		func(r Row) error {
			if fact := readFact(r); strings.HasPrefix(fact.Key, prefix) { // LIKE knows no case
				found = append(found, fact)
			}
			return nil
		})
	return found, err
}

// Fact returns one fact of a device at a moment, and whether it was known.
func (v *Views) Fact(ctx context.Context, deviceID, key string, asOf eventstore.Position) (fact Fact, known bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		id, err := deviceNumber(tx, deviceID)
		if err != nil || id == 0 {
			return err
		}
		fact, known, err = factOf(tx, id, key, asOf)
		return err
	})
	return fact, known, err
}

func factOf(tx Tx, id int64, key string, asOf eventstore.Position) (fact Fact, known bool, err error) {
	area, keyID, err := factKey(tx, key)
	if err != nil || keyID == 0 {
		return fact, false, err
	}
	known, err = one(tx, factColumns+factSpans+` WHERE f.area = ? AND f.key = ? AND f.since <= ?
		AND (f.until IS NULL OR f.until > ?)`, []any{id, id, area, keyID, int64(asOf), int64(asOf)},
		func(r Row) { fact = readFact(r) })
	return fact, known, err
}

// factKey returns the numbers of a key and its area, 0 if no device ever had it.
func factKey(tx Tx, key string) (area, id int64, err error) {
	if id, err = idOf(tx, keys, key); err == nil && id != 0 {
		area, err = idOf(tx, areas, areaOf(key))
	}
	return area, id, err
}

// History lists what a device ever had under a key, oldest first.
func (v *Views) History(ctx context.Context, deviceID, key string, p Page) (l Listing[Fact], err error) {
	w, err := windowOf[int64](p)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		id, err := deviceNumber(tx, deviceID)
		if err != nil || id == 0 {
			return err
		}
		found, err := historyOf(tx, id, key, w)
		l = listing(w, found, func(f Fact) int64 { return int64(f.SincePosition) })
		return err
	})
	return l, err
}

func historyOf(tx Tx, id int64, key string, w window[int64]) (found []Fact, err error) {
	area, keyID, err := factKey(tx, key)
	if err != nil || keyID == 0 {
		return nil, err
	}
	after, before := int64(-1), int64(Now)
	if w.after != nil {
		after = *w.after
	}
	if w.before != nil {
		before = *w.before
	}
	order := " ORDER BY f.since LIMIT ?"
	if w.backward {
		order = " ORDER BY f.since DESC LIMIT ?"
	}
	err = tx.Query(factColumns+factSpans+` WHERE f.area = ? AND f.key = ? AND f.since > ? AND f.since < ?`+order,
		[]any{id, id, area, keyID, after, before, w.n + 1}, func(r Row) error {
			found = append(found, readFact(r))
			return nil
		})
	return found, err
}

// Changes returns what differs in a device between two moments, sorted by key.
func (v *Views) Changes(ctx context.Context, deviceID string, from, to eventstore.Position) (list []FactChange, err error) {
	err = v.read(ctx, func(tx Tx) error {
		id, err := deviceNumber(tx, deviceID)
		if err != nil || id == 0 {
			return err
		}
		if from <= to {
			list, err = changes(tx, id, from, to)
			return err
		}
		list, err = changes(tx, id, to, from)
		for i := range list {
			list[i].Before, list[i].After = list[i].After, list[i].Before
		}
		return err
	})
	return list, err
}

func changes(tx Tx, id int64, from, to eventstore.Position) ([]FactChange, error) {
	byKey := map[string]*FactChange{}
	err := tx.Query(factColumns+factSpans+` WHERE f.since <= ? AND (f.until IS NULL OR f.until > ?)
		AND (f.since > ? OR f.until <= ?) ORDER BY f.since`,
		[]any{id, id, int64(to), int64(from), int64(from), int64(to)}, func(r Row) error {
			span := readFact(r)
			change := byKey[span.Key]
			if change == nil {
				change = &FactChange{Key: span.Key}
				byKey[span.Key] = change
			}
			change.add(span, from, to)
			return nil
		})
	list := make([]FactChange, 0, len(byKey))
	for _, change := range byKey {
		if string(change.Before) != string(change.After) {
			list = append(list, *change)
		}
	}
	slices.SortFunc(list, func(a, b FactChange) int { return strings.Compare(a.Key, b.Key) })
	return list, err
}

// add takes a span of the key into account; spans come in their order.
func (c *FactChange) add(span Fact, from, to eventstore.Position) {
	if span.SincePosition <= from {
		c.Before = span.Value
	} else {
		c.At, c.Position = span.Since, span.SincePosition
	}
	c.After = span.Value
	if span.UntilPosition != 0 && span.UntilPosition <= to {
		c.After, c.At, c.Position = nil, span.Until, span.UntilPosition
	}
}

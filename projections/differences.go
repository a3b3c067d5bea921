package projections

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Differences compares two views of the same log, table by table and row by row, and says where they differ: at most
// most sentences for each table, none if they agree. Both must have folded the same log up to the same position.
func Differences(ctx context.Context, a, b *Views, most int) (found []string, err error) {
	for _, d := range dumps {
		x, err := a.sum(ctx, d)
		if err != nil {
			return nil, err
		}
		y, err := b.sum(ctx, d)
		if err != nil {
			return nil, err
		}
		if x == y {
			continue
		}
		found = append(found, fmt.Sprintf("%s: %d rows here, %d rows there", d.name, x.rows, y.rows))
		more, err := differingRows(ctx, a, b, d, most)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// A sum tells two tables apart whatever the order of their rows.
type sum struct {
	rows  int
	parts [4]uint64
}

func (s *sum) add(hash [sha256.Size]byte) {
	s.rows++
	for i := range s.parts {
		s.parts[i] += binary.BigEndian.Uint64(hash[8*i:])
	}
}

func (v *Views) sum(ctx context.Context, d telling) (s sum, err error) {
	err = v.rows(ctx, d, func(row []byte) { s.add(sha256.Sum256(row)) })
	return s, err
}

// rows calls each with every row, its columns parted by bars. The bytes are good until each returns.
func (v *Views) rows(ctx context.Context, d telling, each func([]byte)) error {
	var line []byte
	err := v.read(ctx, func(tx Tx) error {
		return tx.Query(d.query, nil, func(r Row) error {
			line = line[:0]
			for i := range d.columns {
				if i > 0 {
					line = append(line, '|')
				}
				if !r.Null(i) {
					line = append(line, r.Text(i)...)
				}
			}
			each(line)
			return ctx.Err()
		})
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", d.name, err)
	}
	return nil
}

// differingRows names the rows that only one side has. Rows tell of people: of long ones the beginning is enough.
func differingRows(ctx context.Context, a, b *Views, d telling, most int) (found []string, err error) {
	only := map[[sha256.Size]byte]int{}
	if err := a.rows(ctx, d, func(row []byte) { only[sha256.Sum256(row)]++ }); err != nil {
		return nil, err
	}
	tell := func(side string, row []byte) {
		if len(found) < most {
			found = append(found, fmt.Sprintf("%s: only %s: %.200s", d.name, side, row))
		}
	}
	if err := b.rows(ctx, d, func(row []byte) {
		hash := sha256.Sum256(row)
		if only[hash] == 0 {
			tell("there", row)
			return
		}
		if only[hash]--; only[hash] == 0 {
			delete(only, hash)
		}
	}); err != nil {
		return nil, err
	}
	err = a.rows(ctx, d, func(row []byte) {
		if hash := sha256.Sum256(row); only[hash] > 0 {
			only[hash]--
			tell("here", row)
		}
	})
	return found, err
}

// A telling is a table told without numbers that mean nothing elsewhere.
type telling struct {
	name, query string
	columns     int
}

const textOfNumber = `(SELECT text FROM names WHERE vocabulary = %d AND id = %s)`

const actorText = `(SELECT kind || ' ' || ident || ' ' || name || ' ' || role FROM actors WHERE id = actor)`

// named is a query's column with the text of the number that it holds.
func named(v vocabulary, column string) string { return fmt.Sprintf(textOfNumber, v, column) }

// dumps are all tables with texts in the place of numbers, which depend on the order in which they were given out.
var dumps = []telling{
	{"timeline", `SELECT position, time, ` + named(types, "type") + `, ` + named(devices, "device") + `, stream, version, ` +
		named(channels, "channel") + `, command, uuid, ` + actorText + ` FROM timeline`, 10},
	{"commands", `SELECT position, ` + named(devices, "device") + `, ` + named(channels, "channel") + `, uuid, ` + named(requestTypes, "type") +
		`, ` + actorText + `, state, waiting, priority, not_before, expires_at, supersede_key, reason, no_push, deliveries, deferrals, delivered,
		handed, deferred, settled, because FROM commands`, 21},
	{"command_counts", `SELECT state, n FROM command_counts`, 2},
	{"fleet", `SELECT ` + named(devices, "device") + `, last_seen, last_push FROM fleet`, 3},
	{"fleet_spans", `SELECT ` + named(devices, "s.device") + `, s.since, s.until, ` + spanColumns + ` FROM fleet_spans s`, 24},
	{"fleet_users", `SELECT ` + named(devices, "device") + `, ` + named(channels, "channel") + `, since, until, user_id,
		enrollment_user_id, short_name, long_name, status FROM fleet_users`, 9},
	{"fleet_users_seen", `SELECT ` + named(devices, "device") + `, ` + named(channels, "channel") + `, last_seen FROM fleet_users_seen`, 3},
	{"facts", `SELECT ` + named(devices, "f.device") + `, ` + named(areas, "f.area") + `, ` + named(keys, "f.key") + `, f.since,
		COALESCE(f.value, v.value) FROM facts f LEFT JOIN fact_values v ON v.id = f.object`, 5},
	{"facts_past", `SELECT ` + named(devices, "f.device") + `, ` + named(areas, "f.area") + `, ` + named(keys, "f.key") + `, f.since, f.until,
		COALESCE(f.value, v.value) FROM facts_past f LEFT JOIN fact_values v ON v.id = f.object`, 6},
	{"facts_partial", `SELECT command, items FROM facts_partial`, 2},
	{"secrets", `SELECT ` + named(devices, "device") + `, kind, position, uuid, sure FROM secrets`, 5},
	{"secrets_past", `SELECT ` + named(devices, "device") + `, kind, position, uuid, until FROM secrets_past`, 5},
	{"secrets_revealed", `SELECT ` + named(devices, "device") + `, kind, n, last FROM secrets_revealed`, 4},
	{"wakeups", `SELECT ` + named(devices, "device") + `, ` + named(channels, "channel") + `, due, state FROM wakeups`, 4},
	{"operators", `SELECT id, name, role, hash, expires, created, ` + actorText + `, revoked FROM operators`, 8},
	{"pushcerts", `SELECT topic, fingerprint, not_before, not_after, stored, ` + actorText + `, renewals FROM pushcerts`, 7},
	{"pushcert_requests", `SELECT id, topic, common_name, made, ` + actorText + `, answered FROM pushcert_requests`, 6},
	{"declarations", `SELECT id, since, until, created, ` + actorText + `, type, token, activates, shown FROM declarations`, 9},
	{"declaration_groups", `SELECT declaration, grouping, users, since, until FROM declaration_groups`, 5},
	{"declaration_channels", `SELECT ` + named(devices, "device") + `, ` + named(channels, "channel") + `, token FROM declaration_channels`, 3},
	{"managed", `SELECT ` + named(devices, "m.device") + `, ` + named(channels, "m.channel") + `, m.kind, m.ident, m.since, m.until, m.state, m.was, m.command,
		m.removal, m.revision, m.uuid, m.part_of, m.stays, m.locked, m.about, m.because FROM managed m`, 17},
	{"managed_orders", `SELECT command, ` + named(devices, "device") + `, ` + named(channels, "channel") + `, kind, ident, stays, brings FROM managed_orders`, 7},
	{"managed_lists", `SELECT ` + named(devices, "device") + `, ` + named(channels, "channel") + `, list, told FROM managed_lists`, 4},
	{"wanted_things", `SELECT id, since, until, ` + actorText + `, revision, uuid, every, shown FROM wanted_things`, 8},
	{"wanted_groups", `SELECT thing, grouping, users, first, since, until FROM wanted_groups`, 6},
	{"wanted_states", `SELECT ` + named(devices, "device") + `, ` + named(channels, "channel") + `, thing, since, until, state, revision, removes, attempt, ordered, at, because
		FROM wanted_states`, 12},
	{"wanted_orders", `SELECT command, ` + named(devices, "device") + `, ` + named(channels, "channel") + `, thing FROM wanted_orders`, 4},
	{"wanted_setup", `SELECT ` + named(devices, "device") + `, ` + named(channels, "channel") + `, since, until FROM wanted_setup`, 4},
	{"groups", `SELECT id, since, until, created, ` + actorText + `, name, description, rule FROM groups`, 8},
	{"group_members", `SELECT grouping, ` + named(devices, "device") + `, since, until FROM group_members`, 4},
	{"bulk_orders", `SELECT position, id, grouping, devices, ` + named(requestTypes, "type") + `, ` + actorText + `, reason, reached, cancelled,
		(SELECT a.name FROM actors a WHERE a.id = cancelled_by), because FROM bulk_orders`, 11},
	{"bulk_commands", `SELECT command, ordering FROM bulk_commands`, 2},
	{"bulk_refused", `SELECT ordering, place, position, ` + named(devices, "device") + `, code, reason FROM bulk_refused`, 6},
	{"holds", `SELECT ` + named(devices, "device") + `, command, ` + named(channels, "channel") + `, since, until, ` + actorText + `, reason FROM holds`, 7},
	{"invitations", `SELECT id, position, ` + actorText + `, name, roads, rights, uses, expires, grouping, note, withdrawn, reason FROM invitations`, 12},
	{"invitation_keys", `SELECT invitation, position, road, public_key FROM invitation_keys`, 4},
	{"sign_ins", `SELECT ticket, at FROM sign_ins`, 2},
	{"certificates", `SELECT fingerprint, place, serial, not_before, not_after, first, issued, issuer, public_key, session, road, invitation, follows, command, ` +
		named(devices, "intended") + `, revoked, because, reason, overdue FROM certificates`, 19},
	{"certificate_pins", `SELECT fingerprint, ` + named(devices, "device") + `, since, until FROM certificate_pins`, 4},
	{"certificate_clones", `SELECT fingerprint, position FROM certificate_clones`, 2},
	{"roots", `SELECT fingerprint, since, until, issuing, issued, subject, not_before, not_after, source, algorithm FROM roots`, 10},
	{"checkpoints", `SELECT view, version, position, time FROM checkpoints`, 4},
	{"parked", `SELECT view, stream, position, error FROM parked`, 4},
}

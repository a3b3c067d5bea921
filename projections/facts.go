package projections

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"strings"
)

//go:embed facts.sql
var factsSQL string

// facts answers: what is known of each device, since when, and what was known at any moment?
//
// Keys are enrollment.…, identity.certificate, device.<query> (DeviceInformation), security.<path> (SecurityInfo),
// application.<identifier>, profile.<identifier>, provisioning-profile.<uuid>, certificate.<sha256>,
// managed-application.<identifier>, restriction.<path>, user.<name> and update.<product key>; for what a user's
// channel answered, user/<channel>/ stands before them. Declarative management adds declaration.<identifier> and
// status.<item>, unless a status item says what one of the others says. Values that change with every answer, such as
// device.BatteryLevel, are facts like any other: each change is a row.
//
// A complete list of the device's ends the facts that it no longer names. An answer to a part of a question ends
// nothing. Facts outlive the enrolment in which they were told: since says how old they are.
type facts struct {
	names  *names
	values map[[16]byte]int64
	known  map[piece]entry
	told   map[[2]int64][16]byte // device and area -> the answer that told last what is known there
}

// A piece is an entry of a list as it stands in an answer.
type piece struct {
	area string
	name string // its own, in a dictionary
	hash [16]byte
}

// An entry is an entry of a list that has been decoded before.
type entry struct {
	ident       string
	key, object int64
}

// A fact is what is to be known under a key.
type fact struct {
	key    int64
	object int64
	value  string
}

func newFacts(n *names) folder {
	f := &facts{names: n}
	f.forget()
	return f
}

func (f *facts) forget() {
	f.values, f.known, f.told = map[[16]byte]int64{}, map[piece]entry{}, map[[2]int64][16]byte{}
}

func (f *facts) flush(Tx) error { return nil }

// areaOf returns the part of a key that one kind of answer owns: up to the first dot, a user's channel included.
func areaOf(key string) string {
	rest := key
	if strings.HasPrefix(key, "user/") {
		if i := strings.IndexByte(key[5:], '/'); i >= 0 {
			rest = key[5+i:]
		}
	}
	if i := strings.IndexByte(rest, '.'); i >= 0 {
		return key[:len(key)-len(rest)+i+1]
	}
	return key
}

// maxInline is the longest value that stands in the fact's own row, in bytes.
const maxInline = 48

// fact makes a fact of a value that is canonical JSON.
func (f *facts) fact(tx Tx, key, value string) (fact, error) {
	id, err := f.names.id(keys, key)
	if err != nil || len(value) <= maxInline {
		return fact{key: id, value: value}, err
	}
	object, err := f.object(tx, value)
	return fact{key: id, object: object}, err
}

// object returns the number of a long value.
func (f *facts) object(tx Tx, value string) (id int64, err error) {
	hash := digest([]byte(value))
	if id, ok := f.values[hash]; ok {
		return id, nil
	}
	text := base64.RawStdEncoding.EncodeToString(hash[:])
	found, err := onerow(tx, `SELECT id FROM fact_values WHERE hash = ?`, []any{text}, &id)
	if err == nil && !found {
		_, err = onerow(tx, `INSERT INTO fact_values (id, hash, value)
			SELECT COALESCE(MAX(id), 0) + 1, ?, ? FROM fact_values RETURNING id`, []any{text, value}, &id)
	}
	if err != nil {
		return 0, err
	}
	keep(f.values, hash, id)
	return id, nil
}

// digest is half of a SHA-256: long enough that no two values share one.
func digest(b []byte) (half [16]byte) {
	whole := sha256.Sum256(b)
	return [16]byte(whole[:16])
}

// A toldFact is a fact as its row holds it.
type toldFact struct {
	fact
	since int64
}

// area reads what is known now in an area, by key.
func (f *facts) area(tx Tx, device, area int64) (map[int64]toldFact, error) {
	known := map[int64]toldFact{}
	err := tx.Query(`SELECT key, since, object, value FROM facts WHERE device = ? AND area = ?`,
		[]any{device, area}, func(r Row) error {
			known[r.Int(0)] = toldFact{fact{r.Int(0), r.Int(2), r.Text(3)}, r.Int(1)}
			return nil
		})
	return known, err
}

// tell writes what is now known in an area. If the answer was complete, what it does not name ends.
func (f *facts) tell(tx Tx, r *record, area string, told []fact, complete bool) error {
	areaID, err := f.names.id(areas, area)
	if err != nil {
		return err
	}
	delete(f.told, [2]int64{r.device, areaID})
	known, err := f.area(tx, r.device, areaID)
	if err != nil {
		return err
	}
	for _, now := range told {
		before, was := known[now.key]
		delete(known, now.key)
		if was && before.fact == now {
			continue
		}
		if was {
			err = f.replace(tx, r, areaID, before, now)
		} else {
			err = tx.Exec(`INSERT INTO facts (device, area, key, since, object, value) VALUES (?, ?, ?, ?, ?, ?)`,
				r.device, areaID, now.key, r.position, orNull(now.object), textOrNull(now.value))
		}
		if err != nil {
			return err
		}
	}
	if !complete {
		return nil
	}
	for _, gone := range known {
		if err := f.end(tx, r, areaID, gone); err != nil {
			return err
		}
	}
	return nil
}

// replace ends a fact and writes what took its place.
func (f *facts) replace(tx Tx, r *record, area int64, before toldFact, now fact) error {
	if err := f.bury(tx, r, area, before); err != nil {
		return err
	}
	return tx.Exec(`UPDATE facts SET since = ?, object = ?, value = ? WHERE device = ? AND area = ? AND key = ?`,
		r.position, orNull(now.object), textOrNull(now.value), r.device, area, now.key)
}

// maxTold bounds how many answers are remembered.
const maxTold = 1 << 17

// answer tells what an answer says about an area, unless it is the very answer that told last what is known there.
func (f *facts) answer(r *record, area string, raw []byte, tell func() error) error {
	id, err := f.names.id(areas, area)
	if err != nil {
		return err
	}
	at, hash := [2]int64{r.device, id}, digest(raw)
	if last, known := f.told[at]; known && last == hash {
		return nil
	}
	if err := tell(); err != nil {
		return err
	}
	if len(f.told) >= maxTold {
		clear(f.told)
	}
	f.told[at] = hash
	return nil
}

// end ends a fact that nothing takes the place of.
func (f *facts) end(tx Tx, r *record, area int64, gone toldFact) error {
	delete(f.told, [2]int64{r.device, area})
	if err := f.bury(tx, r, area, gone); err != nil {
		return err
	}
	return tx.Exec(`DELETE FROM facts WHERE device = ? AND area = ? AND key = ?`, r.device, area, gone.key)
}

// bury moves a fact into the past. What one event said and took back was never known.
func (f *facts) bury(tx Tx, r *record, area int64, was toldFact) error {
	if was.since == r.position {
		return nil
	}
	return tx.Exec(`INSERT INTO facts_past (device, area, key, since, until, object, value) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.device, area, was.key, was.since, r.position, orNull(was.object), textOrNull(was.value))
}

// forgetKeys ends the facts with these keys.
func (f *facts) forgetKeys(tx Tx, r *record, keyTexts ...string) error {
	for _, text := range keyTexts {
		area, err := f.names.id(areas, areaOf(text))
		if err != nil {
			return err
		}
		key, err := f.names.id(keys, text)
		if err != nil {
			return err
		}
		known, err := f.area(tx, r.device, area)
		if err != nil {
			return err
		}
		if gone, is := known[key]; is {
			if err := f.end(tx, r, area, gone); err != nil {
				return err
			}
		}
	}
	return nil
}

// A statement is a key and a value, as Go has it.
type statement struct {
	key   string
	value any // nil, "" and 0 say nothing
}

// say writes single facts, all of one area.
func (f *facts) say(tx Tx, r *record, statements ...statement) error {
	var told []fact
	for _, s := range statements {
		if s.value == nil || s.value == "" || s.value == 0 {
			continue
		}
		value, err := canonical(s.value)
		if err != nil {
			return err
		}
		one, err := f.fact(tx, s.key, value)
		if err != nil {
			return err
		}
		told = append(told, one)
	}
	if len(told) == 0 {
		return nil
	}
	return f.tell(tx, r, areaOf(statements[0].key), told, false)
}

// canonicalRaw is the canonical form of a piece of JSON.
func canonicalRaw(raw json.RawMessage) (string, error) {
	if len(raw) > 0 && raw[0] != '{' && raw[0] != '[' {
		return string(raw), nil
	}
	value, err := decode(raw)
	if err != nil {
		return "", err
	}
	return canonical(value)
}

package projections

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Declaration is a declaration as it was at a moment.
type Declaration struct {
	Identifier  string
	Type        string
	ServerToken string
	Activates   []string
	Shown       json.RawMessage // its payload, secrets masked
	Assigned    []declaration.Assignment
	CreatedAt   time.Time
	Since       time.Time // of this content
	PutBy       eventstore.Actor
}

// Wanted is what one channel of a device is to have.
type Wanted struct {
	Assigned []declaration.Item // without payloads
	Client   declaration.Capabilities
	Changed  time.Time // when something last changed that the set depends on
	Told     string    // token of the set that the channel was last told of; empty if of none
}

// Set returns the channel's set.
func (w Wanted) Set() declaration.Set { return declaration.NewSet(w.Assigned, w.Client) }

// Withheld returns those declarations that are assigned to the channel and not given to it, for its client has not told
// that it takes such.
func (w Wanted) Withheld() (items []declaration.Item) {
	for _, item := range w.Assigned {
		if !w.Client.Takes(item.Type) {
			items = append(items, item)
		}
	}
	return items
}

const declarationColumns = `d.id, d.type, d.token, d.activates, d.shown, c.time, s.time, a.kind, a.ident, a.name, a.role FROM declarations d
	JOIN timeline c ON c.position = d.created JOIN timeline s ON s.position = d.since LEFT JOIN actors a ON a.id = d.actor`

func readDeclaration(r Row) Declaration {
	d := Declaration{
		Identifier: r.Text(0), Type: r.Text(1), ServerToken: r.Text(2), Shown: json.RawMessage(r.Text(4)),
		CreatedAt: moment(r.Int(5)), Since: moment(r.Int(6)), PutBy: readActor(r, 7, ""),
	}
	_ = json.Unmarshal([]byte(r.Text(3)), &d.Activates) // this view wrote it
	return d
}

// Declarations lists the declarations that there were at a moment, by identifier.
func (v *Views) Declarations(ctx context.Context, asOf eventstore.Position, p Page) (l Listing[Declaration], err error) {
	w, err := windowOf[string](p)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		list, err := newAlbum(tx, asOf).declarations(w)
		l = listing(w, list, func(d Declaration) string { return d.Identifier })
		return err
	})
	return l, err
}

// Declaration returns a declaration as it was at a moment, and whether there was one.
func (v *Views) Declaration(ctx context.Context, id string, asOf eventstore.Position) (d Declaration, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		a := newAlbum(tx, asOf)
		covers, args := a.at("d")
		found, err = one(tx, `SELECT `+declarationColumns+` WHERE d.id = ? AND `+covers, append([]any{id}, args...),
			func(r Row) { d = readDeclaration(r) })
		if err != nil || !found {
			return err
		}
		d.Assigned, err = a.assigned(id)
		return err
	})
	return d, found, err
}

func (a *album) declarations(w window[string]) (list []Declaration, err error) {
	var where where
	covers, args := a.at("d")
	where.and(covers, args...)
	if w.after != nil {
		where.and("d.id > ?", *w.after)
	}
	if w.before != nil {
		where.and("d.id < ?", *w.before)
	}
	order := ` ORDER BY d.id LIMIT ?`
	if w.backward {
		order = ` ORDER BY d.id DESC LIMIT ?`
	}
	err = a.tx.Query(`SELECT `+declarationColumns+where.String()+order, append(where.args, w.n+1), func(r Row) error {
		list = append(list, readDeclaration(r))
		return nil
	})
	for i := 0; err == nil && i < len(list); i++ {
		list[i].Assigned, err = a.assigned(list[i].Identifier)
	}
	return list, err
}

func (a *album) assigned(id string) (list []declaration.Assignment, err error) {
	covers, args := a.at("g")
	err = a.tx.Query(`SELECT g.grouping, g.users FROM declaration_groups g WHERE g.declaration = ? AND `+covers+` ORDER BY g.grouping, g.users`,
		append([]any{id}, args...), func(r Row) error {
			list = append(list, declaration.Assignment{Group: r.Text(0), Users: r.Int(1) != 0})
			return nil
		})
	return list, err
}

// Wanted returns what a channel of a device is to have at a moment. What it was told of is known of the present alone.
func (v *Views) Wanted(ctx context.Context, deviceID string, channel device.ChannelID, asOf eventstore.Position) (w Wanted, err error) {
	within, err := v.GroupsOf(ctx, deviceID, asOf)
	if err != nil {
		return w, err
	}
	err = v.read(ctx, func(tx Tx) error {
		a := newAlbum(tx, asOf)
		number, err := idOf(tx, devices, deviceID)
		if err != nil || number == 0 {
			return err
		}
		for _, g := range within {
			if err := a.wanted(&w, g.ID, channel != ""); err != nil {
				return err
			}
		}
		if w.Client, err = a.client(number, channel); err != nil {
			return err
		}
		if w.Changed, err = a.changed(); err != nil {
			return err
		}
		channelID, err := channelNumber(tx, channel)
		if err != nil {
			return err
		}
		_, err = one(tx, `SELECT token FROM declaration_channels WHERE device = ? AND channel = ?`, []any{number, channelID},
			func(r Row) { w.Told = r.Text(0) })
		return err
	})
	return w, err
}

func channelNumber(tx Tx, channel device.ChannelID) (int64, error) {
	if channel == "" {
		return 0, nil
	}
	return idOf(tx, channels, string(channel))
}

// wanted adds what is assigned to a group, each declaration once.
func (a *album) wanted(w *Wanted, group string, users bool) error {
	known := map[string]bool{}
	for _, item := range w.Assigned {
		known[item.Identifier] = true
	}
	covers, args := a.at("g")
	holds, more := a.at("d")
	args = append(append([]any{group, users}, args...), more...)
	return a.tx.Query(`SELECT d.id, d.type, d.token, d.activates FROM declaration_groups g JOIN declarations d ON d.id = g.declaration
		WHERE g.grouping = ? AND g.users = ? AND `+covers+` AND `+holds+` ORDER BY d.id`, args, func(r Row) error {
		item := declaration.Item{Identifier: r.Text(0), Type: r.Text(1), ServerToken: r.Text(2)}
		_ = json.Unmarshal([]byte(r.Text(3)), &item.Activates) // this view wrote it
		if !known[item.Identifier] {
			w.Assigned = append(w.Assigned, item)
		}
		return nil
	})
}

// client reads what a channel's client has told that it can do; a user's says what the device's did not.
func (a *album) client(number int64, channel device.ChannelID) (declaration.Capabilities, error) {
	s := selection{DeviceQuery: DeviceQuery{AsOf: a.asOf}, keys: map[string]areaKey{}}
	value, known, err := s.value(a.tx, number, userPrefix(channel)+capabilities)
	if err == nil && !known && channel != "" {
		value, _, err = s.value(a.tx, number, capabilities)
	}
	return declaration.ParseCapabilities(value), err
}

// changed returns when a declaration, an assignment or a group last changed.
func (a *album) changed() (at time.Time, err error) {
	latest := int64(0)
	for _, table := range []string{"declarations", "declaration_groups", "groups", "group_members"} {
		var since, until int64
		if _, err := onerow(a.tx, `SELECT COALESCE(MAX(since), 0), COALESCE(MAX(until), 0) FROM `+table+` WHERE since <= ?`,
			[]any{int64(a.asOf)}, &since, &until); err != nil {
			return at, err
		}
		latest = max(latest, since)
		if until <= int64(a.asOf) {
			latest = max(latest, until)
		}
	}
	var us int64
	_, err = onerow(a.tx, `SELECT time FROM timeline WHERE position = ?`, []any{latest}, &us)
	return moment(us), err
}

// Assigns reports whether any declaration is assigned to a group now, and whether any of these groups has a rule.
func (v *Views) Assigns(ctx context.Context) (any, byRule bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		var n, rules int64
		_, err := onerow(tx, `SELECT COUNT(*), COUNT(g.rule) FROM declaration_groups d LEFT JOIN groups g ON g.id = d.grouping AND g.until IS NULL
			WHERE d.until IS NULL`, nil, &n, &rules)
		any, byRule = n > 0, rules > 0
		return err
	})
	return any, byRule, err
}

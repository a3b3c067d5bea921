package projections

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Where a wanted thing stands on a channel.
const (
	StandsWanted    = "WANTED"    // not ordered yet
	StandsOrdered   = "ORDERED"   // the command is under way
	StandsInstalled = "INSTALLED" // acknowledged; no list has told of it since
	StandsVerified  = "VERIFIED"  // a list told of it; an inventory was answered
	StandsMissing   = "MISSING"   // it is there no longer, or in another edition
	StandsFailed    = "FAILED"
	StandsRemoving  = "REMOVING" // nobody wants it there any more
)

// maxAttempts is how often a thing is tried before it is held.
const maxAttempts = 5

// settledFor is how long a thing must have been there for its going to be another story than its coming.
const settledFor = 24 * time.Hour

// Backoff returns how long after the nth attempt the next one is made.
func Backoff(n int) time.Duration { return min(5*time.Minute<<min(2*max(n-1, 0), 12), 24*time.Hour) }

// A Standing is how far a channel has come with a thing.
type Standing struct {
	Channel   device.ChannelID
	Thing     string // its id
	First     bool
	Revision  string // that is wanted
	State     string
	Because   string
	Attempt   int // orders at this revision
	OrderedAt time.Time
	Held      bool      // it is tried no more until somebody says so, or its revision changes
	TryAt     time.Time // when it is tried again, or asked for again; zero if not by itself
	Removes   bool
	Settles   bool      // it is an app that is there, and differs from what is wanted in its configuration alone
	Since     time.Time // of what was last heard of it

	made reached
	had  holding // how it is on the device
}

// Ended reports whether all was done for a thing that can be done for now.
func (s Standing) Ended() bool {
	return s.State == StandsInstalled || s.State == StandsVerified || s.State == StandsFailed || s.Held
}

// Standings is all that a channel is to be brought to.
type Standings struct {
	Things  []Standing
	Waiting time.Time           // since when the channel waits in Setup Assistant; zero if it does not
	Setup   Standing            // of the command that ends it
	Checks  map[string]Standing // of the lists that tell whether it is there, by request type
}

// A WantedThing is a wanted thing as it was at a moment.
type WantedThing struct {
	ID       string
	Revision string
	UUID     string
	Version  string // of the library's profile: a number, or latest; empty if it is none
	Every    time.Duration
	Shown    json.RawMessage
	Assigned []wanted.Assignment
	Since    time.Time
	PutBy    eventstore.Actor
	first    bool
	assigned int64 // position of the assignment
	base     string
}

const wantedColumns = `w.id, w.revision, w.uuid, w.every, w.shown, s.time, a.kind, a.ident, a.name, a.role, w.version FROM wanted_things w
	JOIN timeline s ON s.position = w.since LEFT JOIN actors a ON a.id = w.actor`

func readWanted(r Row) WantedThing {
	return WantedThing{ID: r.Text(0), Revision: r.Text(1), UUID: r.Text(2), Every: time.Duration(r.Int(3)), Shown: json.RawMessage(r.Text(4)),
		Since: moment(r.Int(5)), PutBy: readActor(r, 6, ""), Version: r.Text(10)}
}

// WantedThings lists what was wanted at a moment, by id.
func (v *Views) WantedThings(ctx context.Context, asOf eventstore.Position, p Page) (l Listing[WantedThing], err error) {
	w, err := windowOf[string](p)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		list, err := newAlbum(tx, asOf).wantedThings(w)
		l = listing(w, list, func(t WantedThing) string { return t.ID })
		return err
	})
	return l, err
}

// WantedThing returns a wanted thing as it was at a moment, and whether it was wanted.
func (v *Views) WantedThing(ctx context.Context, id string, asOf eventstore.Position) (t WantedThing, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		a := newAlbum(tx, asOf)
		covers, args := a.at("w")
		found, err = one(tx, `SELECT `+wantedColumns+` WHERE w.id = ? AND `+covers, append([]any{id}, args...), func(r Row) { t = readWanted(r) })
		if err == nil && found {
			t.Assigned, err = a.wantedBy(id)
		}
		return err
	})
	return t, found, err
}

func (a *album) wantedThings(w window[string]) (list []WantedThing, err error) {
	var where where
	covers, args := a.at("w")
	where.and(covers, args...)
	if w.after != nil {
		where.and("w.id > ?", *w.after)
	}
	if w.before != nil {
		where.and("w.id < ?", *w.before)
	}
	order := ` ORDER BY w.id LIMIT ?`
	if w.backward {
		order = ` ORDER BY w.id DESC LIMIT ?`
	}
	err = a.tx.Query(`SELECT `+wantedColumns+where.String()+order, append(where.args, w.n+1), func(r Row) error {
		list = append(list, readWanted(r))
		return nil
	})
	for i := 0; err == nil && i < len(list); i++ {
		list[i].Assigned, err = a.wantedBy(list[i].ID)
	}
	return list, err
}

func (a *album) wantedBy(id string) (list []wanted.Assignment, err error) {
	covers, args := a.at("g")
	err = a.tx.Query(`SELECT g.grouping, g.users, g.first FROM wanted_groups g WHERE g.thing = ? AND `+covers+` ORDER BY g.grouping, g.users`,
		append([]any{id}, args...), func(r Row) error {
			list = append(list, wanted.Assignment{Group: r.Text(0), Users: r.Int(1) != 0, First: r.Int(2) != 0})
			return nil
		})
	return list, err
}

// Wants reports whether anything is wanted of any group now, whether by a rule, and whether anything ever was.
func (v *Views) Wants(ctx context.Context) (anything, byRule bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		var n, rules int64
		_, err := onerow(tx, `SELECT COUNT(*), COUNT(g.rule) FROM wanted_groups d LEFT JOIN groups g ON g.id = d.grouping AND g.until IS NULL`, nil, &n, &rules)
		anything, byRule = n > 0, rules > 0
		return err
	})
	return anything, byRule, err
}

// Standings tells how far a channel of a device had come at a moment with all that it was to be brought to. now is the time
// by which it is told what is due.
func (v *Views) Standings(ctx context.Context, deviceID string, channel device.ChannelID, asOf eventstore.Position, now time.Time) (all Standings, err error) {
	within, err := v.GroupsOf(ctx, deviceID, asOf)
	if err != nil {
		return all, err
	}
	err = v.read(ctx, func(tx Tx) error {
		number, err := deviceNumber(tx, deviceID)
		if err != nil || number == 0 {
			return err
		}
		channelID, err := channelNumber(tx, channel)
		if err != nil {
			return err
		}
		if channel != "" && channelID == 0 {
			channelID = -1 // of whom nothing was ever told; 0 is the device's own
		}
		s := scene{album: newAlbum(tx, asOf), device: number, id: deviceID, name: channel, channel: channelID, now: now}
		all, err = s.standings(within)
		return err
	})
	return all, err
}

// A scene is one channel whose standings are told.
type scene struct {
	*album
	device, channel int64
	id              string
	name            device.ChannelID
	now             time.Time
}

func (s scene) standings(within []Group) (all Standings, err error) {
	things, err := s.things(within)
	if err != nil {
		return all, err
	}
	states, err := s.states()
	if err != nil {
		return all, err
	}
	held, err := s.held()
	if err != nil {
		return all, err
	}
	told, err := s.enrolled()
	if err != nil {
		return all, err
	}
	for _, t := range things {
		kind, ident := wanted.Split(t.ID)
		one := Standing{Channel: s.name, Thing: t.ID, First: t.first, Revision: t.Revision, made: states[t.ID], had: held[managedKind(kind)+" "+ident]}
		if kind == wanted.Inventory {
			one.asked(s.id, t.Every, max(t.assigned, 0), told, s.now)
		} else {
			one.installs(t.UUID)
			if one.Settles, err = s.settles(t, one); err != nil {
				return all, err
			}
		}
		all.Things = append(all.Things, one)
		delete(states, t.ID)
	}
	all.Setup = Standing{Channel: s.name, Thing: "setup", made: states["setup"]}
	all.Setup.setup()
	all.Checks = map[string]Standing{}
	for id, made := range states {
		kind, ident := wanted.Split(id)
		if list, is := strings.CutPrefix(id, "check/"); is {
			all.Checks[list] = Standing{Channel: s.name, Thing: id, made: made, OrderedAt: moment(made.ordered), State: made.state}
		}
		if kind != wanted.Profile && kind != wanted.App {
			continue
		}
		one := Standing{Channel: s.name, Thing: id, Revision: made.revision, Removes: true, made: made, had: held[managedKind(kind)+" "+ident]}
		if one.removes() {
			all.Things = append(all.Things, one)
		}
	}
	sortStandings(all.Things)
	covers, args := s.at("w")
	var since int64
	_, err = onerow(s.tx, `SELECT s.time FROM wanted_setup w JOIN timeline s ON s.position = w.since WHERE w.device = ? AND w.channel = ? AND `+covers,
		append([]any{s.device, s.channel}, args...), &since)
	all.Waiting = moment(since)
	return all, err
}

// settles reports whether an app that is there in another revision has only another configuration.
func (s scene) settles(t WantedThing, one Standing) (settles bool, err error) {
	there := one.had.state == ManagedVerified || one.had.state == ManagedAcknowledged
	if t.base == "" || !there || one.made.removes != 0 || one.made.revision == "" || one.made.revision == one.Revision {
		return false, nil
	}
	var n int64
	_, err = onerow(s.tx, `SELECT COUNT(*) FROM wanted_things w WHERE w.id = ? AND w.revision = ? AND w.base = ?`, []any{t.ID, one.made.revision, t.base}, &n)
	return n > 0, err
}

func managedKind(kind string) string {
	return map[string]string{wanted.Profile: KindProfile, wanted.App: KindApp}[kind]
}

// things returns what the groups are to have, each thing once; first if any of them is to have it first.
func (s scene) things(within []Group) (list []WantedThing, err error) {
	at := map[string]int{}
	for _, g := range within {
		covers, args := s.at("g")
		holds, more := s.at("w")
		args = append(append([]any{g.ID, s.name != ""}, args...), more...)
		if err := s.tx.Query(`SELECT w.id, w.revision, w.uuid, w.every, g.first, t.time, w.base FROM wanted_groups g JOIN wanted_things w ON w.id = g.thing
			JOIN timeline t ON t.position = g.since WHERE g.grouping = ? AND g.users = ? AND `+covers+` AND `+holds+` ORDER BY w.id`, args, func(r Row) error {
			t := WantedThing{ID: r.Text(0), Revision: r.Text(1), UUID: r.Text(2), Every: time.Duration(r.Int(3)), first: r.Int(4) != 0, assigned: r.Int(5), base: r.Text(6)}
			i, known := at[t.ID]
			if !known {
				i = len(list)
				list, at[t.ID] = append(list, t), i
			}
			list[i].first = list[i].first || t.first
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s scene) states() (map[string]reached, error) {
	all := map[string]reached{}
	covers, args := s.at("w")
	err := s.tx.Query(`SELECT thing, `+reachedColumns+`, since FROM wanted_states w WHERE w.device = ? AND w.channel = ? AND `+covers,
		append([]any{s.device, s.channel}, args...), func(r Row) error {
			s := readReached(r, 1)
			s.position = r.Int(8)
			all[r.Text(0)] = s
			return nil
		})
	return all, err
}

func (s scene) held() (map[string]holding, error) {
	all := map[string]holding{}
	covers, args := s.at("m")
	err := s.tx.Query(`SELECT m.kind, m.ident, m.state, m.uuid, m.because, t.time FROM managed m JOIN timeline t ON t.position = m.since
		WHERE m.device = ? AND m.channel = ? AND `+covers, append([]any{s.device, s.channel}, args...), func(r Row) error {
		all[r.Text(0)+" "+r.Text(1)] = holding{state: r.Text(2), uuid: r.Text(3), because: r.Text(4), since: r.Int(5)}
		return nil
	})
	return all, err
}

// enrolled returns when the device enrolled, in microseconds.
func (s scene) enrolled() (at int64, err error) {
	covers, args := s.at("f")
	_, err = onerow(s.tx, `SELECT COALESCE(f.enrolled_at, 0) FROM fleet_spans f WHERE f.device = ? AND `+covers, append([]any{s.device}, args...), &at)
	return at, err
}

func sortStandings(list []Standing) {
	less := func(a, b Standing) bool { return a.First && !b.First || a.First == b.First && a.Thing < b.Thing }
	for i := 1; i < len(list); i++ {
		for j := i; j > 0 && less(list[j], list[j-1]); j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

// slot returns the first of the moments, every so often, after a moment: each device and thing has moments of its own, so
// that a fleet is spread over all of the time.
func slot(device, thing string, every time.Duration, after time.Time) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(device + " " + thing)) // a hash never fails
	offset := int64(h.Sum64()>>1) % int64(every)
	n := (after.UnixNano() - offset) / int64(every)
	return time.Unix(0, (n+1)*int64(every)+offset).UTC()
}

// NextCheck returns when a list that was asked for at a moment is asked for again by itself.
func NextCheck(device, list string, every time.Duration, asked time.Time) time.Time {
	return slot(device, list, every, asked)
}

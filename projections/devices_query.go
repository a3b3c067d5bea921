package projections

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

// A place is where a device stands in a sorted list: its key, and its number, which breaks ties.
type place struct {
	Key    any   `json:"k"` // a text or a whole number
	Device int64 `json:"d"`
}

// A found is a device on its way to a page.
type found struct {
	place
	Device
}

// Devices lists devices as they were at a moment.
func (v *Views) Devices(ctx context.Context, q DeviceQuery) (l Listing[Device], err error) {
	s, err := newSelection(q)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		if err := s.assemble(tx); err != nil {
			return err
		}
		list, err := s.find(tx)
		page := listing(s.window, list, func(f found) place { return f.place })
		l.HasNext, l.HasPrevious = page.HasNext, page.HasPrevious
		album := newAlbum(tx, q.AsOf)
		for _, e := range page.Edges {
			d, _, err := album.device(e.Node.place.Device)
			if err != nil {
				return err
			}
			l.Edges = append(l.Edges, Edge[Device]{e.Cursor, d})
		}
		return err
	})
	return l, err
}

// CountDevices returns how many devices the filter chooses at a moment.
func (v *Views) CountDevices(ctx context.Context, q DeviceQuery) (n int, err error) {
	q.Page = Page{First: MaxPage}
	s, err := newSelection(q)
	if err != nil {
		return 0, err
	}
	err = v.read(ctx, func(tx Tx) error {
		if err := s.assemble(tx); err != nil {
			return err
		}
		for {
			list, err := s.find(tx)
			n += min(len(list), s.window.n)
			if err != nil || len(list) <= s.window.n {
				return err
			}
			s.window.after = &list[s.window.n-1].place
		}
	})
	return n, err
}

// A selection is a checked DeviceQuery.
type selection struct {
	DeviceQuery
	window   window[place]
	key      string // SQL
	backward bool   // against the order of key
	keys     map[string]areaKey

	members    where        // of the group that is asked for, if it has members
	rule       DeviceFilter // of that group, if it has one
	impossible bool         // there is no such group
}

// An areaKey is the numbers of a fact's key.
type areaKey struct{ area, key int64 }

func newSelection(q DeviceQuery) (s selection, err error) {
	s.DeviceQuery, s.keys = q, map[string]areaKey{}
	if s.window, err = windowOf[place](q.Page); err != nil {
		return s, err
	}
	s.backward = s.window.backward != q.Order.Descending
	for _, f := range q.Filter.Facts {
		if err := f.check(); err != nil {
			return s, err
		}
	}
	switch q.Order.By {
	case "", ByAppearance:
		s.key = "s.device"
	case ByName:
		s.key = "LOWER(s.name)"
	case BySerial:
		s.key = "s.serial"
	case ByOSVersion:
		s.key = "s.os_order"
	case ByEnrolled:
		s.key = "COALESCE(s.enrolled_at, 0)"
	case ByLastSeen:
		s.key = "COALESCE(s.seen, 0)"
	default:
		return s, domain.Refusef(domain.Invalid, "devices cannot be sorted by %q", q.Order.By)
	}
	for _, p := range []*place{s.window.after, s.window.before} {
		if p != nil && !p.fits(s.key) {
			return s, domain.Refusef(domain.Invalid, "the cursor comes from a list that was sorted otherwise")
		}
	}
	return s, nil
}

// fits makes a cursor's key what the column holds, and reports whether it can be.
func (p *place) fits(key string) bool {
	number, isNumber := p.Key.(float64)
	_, isText := p.Key.(string)
	if isNumber {
		p.Key = int64(number)
	}
	whole := key == "s.device" || strings.HasPrefix(key, "COALESCE")
	return isNumber && whole || isText && !whole
}

// find returns up to one device more than the page holds, in the window's direction. Predicates over facts are
// tried device by device.
func (s selection) find(tx Tx) (list []found, err error) {
	where, err := s.where(tx)
	if err != nil || where.impossible || s.impossible {
		return nil, err
	}
	start, end := s.window.after, s.window.before
	if s.window.backward {
		start, end = end, start
	}
	limit := s.window.n + 1
	if s.picky() {
		limit = max(limit, 256)
	}
	for len(list) <= s.window.n {
		chunk, err := s.chunk(tx, *where, start, end, limit)
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(chunk) && len(list) <= s.window.n; i++ {
			if chosen, err := s.chooses(tx, chunk[i].place.Device); err != nil {
				return nil, err
			} else if chosen {
				list = append(list, chunk[i])
			}
		}
		if len(chunk) < limit {
			break
		}
		start = &chunk[len(chunk)-1].place
	}
	return list, nil
}

func (s selection) picky() bool { return s.Filter.picky() || s.rule.picky() }

// picky reports whether the filter must be tried device by device.
func (f DeviceFilter) picky() bool { return len(f.Facts) > 0 || f.Application != "" }

// chunk reads some devices after start and before end, both in the direction of the walk.
func (s selection) chunk(tx Tx, w where, start, end *place, limit int) (list []found, err error) {
	beyond, until, order := ">", "<", "ASC"
	if s.backward {
		beyond, until, order = "<", ">", "DESC"
	}
	w.conditions, w.args = slices.Clone(w.conditions), slices.Clone(w.args)
	for _, edge := range []struct {
		at *place
		is string
	}{{start, beyond}, {end, until}} {
		if edge.at == nil {
			continue
		}
		if s.key == "s.device" {
			w.and("s.device "+edge.is+" ?", edge.at.Device)
			continue
		}
		w.and("("+s.key+" "+edge.is+" ? OR "+s.key+" = ? AND s.device "+edge.is+" ?)", edge.at.Key, edge.at.Key, edge.at.Device)
	}
	seen, args, err := s.seen(tx)
	if err != nil {
		return nil, err
	}
	by := s.key + " " + order + ", s.device " + order
	if s.key == "s.device" {
		by = "s.device " + order
	}
	query := `SELECT s.device, ` + s.key + ` FROM (SELECT s.*, ` + seen + ` AS seen FROM fleet_spans s) s` +
		w.String() + ` ORDER BY ` + by + ` LIMIT ?`
	err = tx.Query(query, append(append(args, w.args...), limit), func(r Row) error {
		f := found{place: place{Device: r.Int(0), Key: r.Text(1)}}
		if strings.HasPrefix(s.key, "COALESCE") || s.key == "s.device" {
			f.Key = r.Int(1)
		}
		list = append(list, f)
		return nil
	})
	return list, err
}

// seen is the SQL for when a device was last seen, NULL if nothing asks for it.
func (s selection) seen(tx Tx) (string, []any, error) {
	switch f := s.Filter; {
	case s.Order.By != ByLastSeen && f.SeenBefore.IsZero() && f.SeenAfter.IsZero():
		return "NULL", nil, nil
	case s.AsOf == Now:
		return "(SELECT f.last_seen FROM fleet f WHERE f.device = s.device)", nil, nil
	}
	types, err := newAlbum(tx, s.AsOf).types()
	return `(SELECT t.time FROM timeline t WHERE t.device = s.device AND t.position <= ? AND t.type IN (` +
		marks(len(types)) + `) ORDER BY t.position DESC LIMIT 1)`, append([]any{int64(s.AsOf)}, anys(types)...), err
}

// where is all of the filter, and of the group's rule, that concerns the fleet's own columns.
func (s selection) where(tx Tx) (*where, error) {
	w := &where{}
	covers, args := newAlbum(tx, s.AsOf).at("s")
	w.and(covers, args...)
	w.conditions, w.args = append(w.conditions, s.members.conditions...), append(w.args, s.members.args...)
	s.rule.narrow(w)
	s.Filter.narrow(w)
	return w, s.Filter.narrowIDs(tx, w)
}

func (f DeviceFilter) narrowIDs(tx Tx, w *where) error {
	if f.IDs == nil {
		return nil
	}
	ids := []int64{}
	for _, id := range f.IDs {
		number, err := idOf(tx, devices, id)
		if err != nil {
			return err
		}
		if number != 0 {
			ids = append(ids, number)
		}
	}
	w.in("s.device", ids)
	return nil
}

func (f DeviceFilter) narrow(w *where) {
	if len(f.Status) > 0 {
		w.and("s.status IN ("+marks(len(f.Status))+")", texts(f.Status)...)
	}
	if len(f.Platform) > 0 {
		w.and("s.platform IN ("+marks(len(f.Platform))+")", texts(f.Platform)...)
	}
	if f.OSVersion != "" {
		w.and("(s.os_version = ? OR s.os_version LIKE ? ESCAPE '!')", f.OSVersion, escapeLike(f.OSVersion)+".%")
	}
	if f.Supervised != nil {
		w.and("s.supervised = ?", *f.Supervised)
	}
	if !f.SeenBefore.IsZero() {
		w.and("s.seen < ?", f.SeenBefore.UnixMicro())
	}
	if !f.SeenAfter.IsZero() {
		w.and("s.seen > ?", f.SeenAfter.UnixMicro())
	}
	if !f.EnrolledFrom.IsZero() {
		w.and("s.enrolled_at >= ?", f.EnrolledFrom.UnixMicro())
	}
	if f.Search != "" {
		like := "%" + escapeLike(strings.ToLower(f.Search)) + "%"
		w.and(`(LOWER(s.name) LIKE ? ESCAPE '!' OR LOWER(s.serial) LIKE ? ESCAPE '!' OR LOWER(s.udid) LIKE ? ESCAPE '!'
			OR LOWER(s.enrollment_id) LIKE ? ESCAPE '!' OR LOWER(s.model_name) LIKE ? ESCAPE '!' OR LOWER(s.product) LIKE ? ESCAPE '!')`,
			like, like, like, like, like, like)
	}
}

func texts[T ~string](list []T) []any {
	plain := make([]string, len(list))
	for i, one := range list {
		plain[i] = string(one)
	}
	return anys(plain)
}

// value returns what was known of a device under a key at the moment.
func (s selection) value(tx Tx, number int64, key string) (value json.RawMessage, known bool, err error) {
	at, met := s.keys[key]
	if !met {
		if at.area, at.key, err = factKey(tx, key); err != nil {
			return nil, false, err
		}
		s.keys[key] = at
	}
	if at.key == 0 {
		return nil, false, nil
	}
	read := func(r Row) { value = json.RawMessage(r.Text(0)) }
	known, err = one(tx, `SELECT COALESCE(f.value, v.value) FROM facts f LEFT JOIN fact_values v ON v.id = f.object
		WHERE f.device = ? AND f.area = ? AND f.key = ? AND f.since <= ?`, []any{number, at.area, at.key, int64(s.AsOf)}, read)
	if err != nil || known || s.AsOf == Now {
		return value, known, err
	}
	known, err = one(tx, `SELECT COALESCE(f.value, v.value) FROM facts_past f LEFT JOIN fact_values v ON v.id = f.object
		WHERE f.device = ? AND f.area = ? AND f.key = ? AND f.since <= ? AND f.until > ?`,
		[]any{number, at.area, at.key, int64(s.AsOf), int64(s.AsOf)}, read)
	return value, known, err
}

// chooses tries on one device what must be tried one by one.
func (s selection) chooses(tx Tx, number int64) (bool, error) {
	if chosen, err := s.fits(tx, number, s.rule); err != nil || !chosen {
		return false, err
	}
	return s.fits(tx, number, s.Filter)
}

// fits tries a filter's predicates over facts on one device.
func (s selection) fits(tx Tx, number int64, filter DeviceFilter) (bool, error) {
	for _, f := range filter.Facts {
		value, known, err := s.value(tx, number, f.Key)
		if err != nil {
			return false, err
		}
		if holds, err := f.holds(value, known); err != nil || !holds {
			return false, err
		}
	}
	if filter.Application == "" {
		return true, nil
	}
	identifier, version, exact := strings.Cut(filter.Application, "@")
	app, known, err := s.value(tx, number, "application."+identifier)
	if err != nil || !known || !exact {
		return known, err
	}
	for _, name := range []string{"ShortVersion", "Version"} {
		if raw, err := rawjson.Get(app, name); err == nil && text(raw) == version {
			return true, nil
		}
	}
	return false, nil
}

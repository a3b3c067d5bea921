package profile

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// value holds a value to what its key wants.
func (l *linter) value(k *key, at string, v any) {
	if l.platform != "" && absent(k.Limits, l.platform) {
		l.wrong(at, "does not exist on %s, for which TargetDeviceType says the profile is", l.platform)
		return
	}
	if !fits(k.Type, v) {
		l.wrong(at, "must be %s, not %s", called[k.Type], kindOf(v))
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if k.Type == "dict" && !k.free() {
			l.dict(k, at, v)
		}
	case []any:
		for i, e := range v {
			if k.element != nil {
				l.value(k.element, at+"["+strconv.Itoa(i)+"]", e)
			}
		}
	default:
		l.scalar(k, at, v)
	}
}

// dict holds a dictionary to the keys that it may have.
func (l *linter) dict(k *key, at string, v Values) {
	for _, name := range slices.Sorted(maps.Keys(k.members)) {
		if _, has := v[name]; !has && k.members[name].demanded() {
			l.wrong(join(at, name), "is required")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		member := k.members[name]
		if member == nil {
			member = k.other
		}
		if member == nil {
			l.unknown(k, at, name)
			continue
		}
		l.value(member, join(at, name), v[name])
	}
}

// unknown tells of a key that is not in the list: an error if it is a slip of the pen.
func (l *linter) unknown(k *key, at, name string) {
	for _, known := range slices.Sorted(maps.Keys(k.members)) {
		if alike(known, name) {
			l.wrong(join(at, shown(name)), "is not a key of Apple's: is %s meant?", known)
			return
		}
	}
	l.warn(join(at, shown(name)), "is not a key of Apple's that is known here: devices pass over what they do not know")
}

// shown is a key's name if it looks like one: what does not might be a secret in the wrong place.
func shown(name string) string {
	odd := func(r rune) bool { return r <= ' ' && r != ' ' || r > '~' }
	if len(name) > 64 || strings.ContainsFunc(name, odd) {
		return "(a key)"
	}
	return name
}

// alike reports whether two names differ by what the eye passes over.
func alike(a, b string) bool {
	plain := strings.NewReplacer(" ", "", "-", "", "_", "", ".", "")
	return strings.EqualFold(plain.Replace(a), plain.Replace(b))
}

func (l *linter) scalar(k *key, at string, v any) {
	s, is := v.(string)
	if is && len(variablesIn(s)) > 0 {
		return // what it says is known when it is filled
	}
	if is && k.pattern != nil && !k.pattern.MatchString(s) {
		l.wrong(at, "must match %s", k.Pattern)
	}
	n, number := numberOf(v)
	within := number && (k.Min != nil || k.Max != nil) && (k.Min == nil || n >= *k.Min) && (k.Max == nil || n <= *k.Max)
	for _, allowed := range k.Allowed {
		if is && allowed.Text == s || number && allowed.Text == strconv.FormatFloat(n, 'f', -1, 64) || within {
			return
		}
	}
	switch {
	case len(k.Allowed) > 0 && (is || number):
		l.wrong(at, "must be %s%s", listed(k), rangeOf(k, " or "))
	case number && (k.Min != nil || k.Max != nil) && !within:
		l.wrong(at, "must be%s", rangeOf(k, " "))
	}
}

// listed writes the values that a key may have.
func listed(k *key) string {
	var all []string
	for _, v := range k.Allowed {
		all = append(all, v.Text)
	}
	if len(all) > 24 {
		all = append(all[:24], strconv.Itoa(len(all)-24)+" more")
	}
	if len(all) == 1 {
		return all[0]
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

func rangeOf(k *key, before string) string {
	number := func(f *float64) string { return strconv.FormatFloat(*f, 'f', -1, 64) }
	switch {
	case k.Min != nil && k.Max != nil:
		return before + number(k.Min) + " to " + number(k.Max)
	case k.Min != nil:
		return before + "at least " + number(k.Min)
	case k.Max != nil:
		return before + "at most " + number(k.Max)
	}
	return ""
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

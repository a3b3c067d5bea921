package projections

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// check refuses a predicate that makes no sense.
func (f FactFilter) check() error {
	switch f.Op {
	case Exists, Missing:
		return nil
	case EQ, NE, LT, LE, GT, GE, Contains:
	default:
		return domain.Refusef(domain.Invalid, "no comparison is called %q", f.Op)
	}
	if f.Key == "" {
		return domain.Refusef(domain.Invalid, "a predicate over facts needs a key")
	}
	if !json.Valid(f.Value) {
		return domain.Refusef(domain.Invalid, "the predicate over %s needs a value", f.Key)
	}
	return nil
}

// holds reports whether the predicate holds of a fact's value; known is false if there is no such fact.
func (f FactFilter) holds(value json.RawMessage, known bool) (bool, error) {
	if f.Op == Exists || f.Op == Missing || !known {
		return f.Op == Exists && known || f.Op == Missing && !known, nil
	}
	has, err := decode(value)
	if err != nil {
		return false, err
	}
	wanted, err := decode(f.Value)
	if err != nil {
		return false, err
	}
	switch f.Op {
	case EQ:
		return equal(has, wanted), nil
	case NE:
		return !equal(has, wanted), nil
	case Contains:
		return contains(has, wanted), nil
	}
	order, comparable := compare(has, wanted)
	return comparable && f.Op.admits(order), nil
}

func (op FactOp) admits(order int) bool {
	switch op {
	case LT:
		return order < 0
	case LE:
		return order <= 0
	case GT:
		return order > 0
	}
	return order >= 0
}

func equal(a, b any) bool {
	if order, comparable := compare(a, b); comparable {
		return order == 0
	}
	return reflect.DeepEqual(a, b)
}

// compare compares numbers and texts; comparable is false for anything else, and for one of each.
func compare(a, b any) (order int, comparable bool) {
	if x, is := a.(json.Number); is {
		y, is := b.(json.Number)
		return compareNumbers(x, y), is
	}
	x, isText := a.(string)
	y, also := b.(string)
	if !isText || !also {
		return 0, false
	}
	v, isVersion := versionParts(x)
	w, both := versionParts(y)
	if isVersion && both {
		return compareVersions(v, w), true
	}
	return strings.Compare(x, y), true
}

func compareNumbers(a, b json.Number) int {
	if x, err := a.Int64(); err == nil {
		if y, err := b.Int64(); err == nil {
			return cmp.Compare(x, y)
		}
	}
	x, _ := a.Float64()
	y, _ := b.Float64()
	return cmp.Compare(x, y)
}

// compareVersions compares part by part; what is absent counts as 0, so that 17 is 17.0.
func compareVersions(a, b []uint64) int {
	n := max(len(a), len(b))
	return slices.Compare(append(slices.Clip(a), make([]uint64, n-len(a))...), append(slices.Clip(b), make([]uint64, n-len(b))...))
}

// contains reports whether b is part of the text a (any case), an element of the array a, or a key of the object a.
func contains(a, b any) bool {
	switch a := a.(type) {
	case string:
		part, is := b.(string)
		return is && strings.Contains(strings.ToLower(a), strings.ToLower(part))
	case []any:
		return slices.ContainsFunc(a, func(one any) bool { return equal(one, b) })
	case map[string]any:
		name, is := b.(string)
		_, has := a[name]
		return is && has
	}
	return false
}

package graphql

import (
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"
)

// The schema's own scalars. None of their functions may panic: that would end the process.
var (
	timeScalar = graphql.NewScalar(graphql.ScalarConfig{
		Name:         "Time",
		Description:  "A moment, RFC 3339, e.g. 2026-02-03T14:00:00Z.",
		Serialize:    writeTime,
		ParseValue:   readTime,
		ParseLiteral: literalTime,
	})
	jsonScalar = graphql.NewScalar(graphql.ScalarConfig{
		Name:         "JSON",
		Description:  "Any JSON value. Give long or nested ones as variables.",
		Serialize:    func(v any) any { return v },
		ParseValue:   func(v any) any { return v },
		ParseLiteral: literalJSON,
	})
)

func writeTime(v any) any {
	switch v := v.(type) {
	case time.Time:
		if v.IsZero() {
			return nil
		}
		return v.UTC().Format(time.RFC3339Nano)
	case *time.Time:
		if v == nil {
			return nil
		}
		return writeTime(*v)
	}
	return nil
}

func readTime(v any) any {
	text, ok := v.(string)
	if !ok {
		return nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil
	}
	return t.UTC()
}

func literalTime(v ast.Value) any {
	if s, ok := v.(*ast.StringValue); ok && s != nil {
		return readTime(s.Value)
	}
	return nil
}

// literalJSON returns nil for a literal that holds a variable: the library tells scalars nothing of those.
func literalJSON(v ast.Value) any {
	switch v := v.(type) {
	case *ast.StringValue:
		return v.Value
	case *ast.EnumValue:
		return v.Value
	case *ast.BooleanValue:
		return v.Value
	case *ast.IntValue:
		return number(json.Number(v.Value))
	case *ast.FloatValue:
		return number(json.Number(v.Value))
	case *ast.ListValue:
		return literalList(v)
	case *ast.ObjectValue:
		return literalObject(v)
	}
	return nil
}

func literalList(v *ast.ListValue) any {
	list := make([]any, 0, len(v.Values))
	for _, item := range v.Values {
		one := literalJSON(item)
		if one == nil {
			return nil
		}
		list = append(list, one)
	}
	return list
}

func literalObject(v *ast.ObjectValue) any {
	object := make(map[string]any, len(v.Fields))
	for _, f := range v.Fields {
		if f == nil || f.Name == nil {
			return nil
		}
		if object[f.Name.Value] = literalJSON(f.Value); object[f.Name.Value] == nil {
			return nil
		}
	}
	return object
}

// number keeps an integer one: in a property list 1 and 1.0 are not the same.
func number(n json.Number) any {
	if i, err := strconv.Atoi(n.String()); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return nil
	}
	return f
}

// numbers replaces all json.Numbers within v, which the library does not know.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return number(v)
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}

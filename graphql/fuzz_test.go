package graphql

import (
	"encoding/json"
	"testing"

	"github.com/graphql-go/graphql/language/ast"
)

// FuzzRequest (T16) reads bodies, and gives what they hold to the scalars: a panic there would end the process.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"query":"{me{id}}","variables":{"a":[1,2.5,1e999,null,"2026-01-01T00:00:00Z",{"b":true}]}}`))
	f.Add([]byte(`{"query":"{me{id}}","variables":{"a":-0,"b":9223372036854775808}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := fromJSON(body)
		if err != nil {
			return
		}
		for _, v := range r.Variables {
			for _, s := range []interface{ ParseValue(any) any }{timeScalar, jsonScalar} {
				_ = s.ParseValue(v)
			}
			_ = timeScalar.Serialize(v)
			if _, err := json.Marshal(jsonScalar.Serialize(v)); err != nil {
				t.Errorf("%v cannot be written: %v", v, err)
			}
		}
		literals(t, r.Query)
	})
}

// literals gives every value in a document to the scalars.
func literals(t *testing.T, text string) {
	if _, err := scan(text); err != nil {
		return
	}
	doc, err := parse(text)
	if err != nil {
		return
	}
	for _, def := range doc.Definitions {
		op, ok := def.(*ast.OperationDefinition)
		if !ok || op.SelectionSet == nil {
			continue
		}
		for _, sel := range op.SelectionSet.Selections {
			field, ok := sel.(*ast.Field)
			if !ok {
				continue
			}
			for _, a := range field.Arguments {
				_ = timeScalar.ParseLiteral(a.Value)
				if _, err := json.Marshal(jsonScalar.ParseLiteral(a.Value)); err != nil {
					t.Errorf("%q cannot be written: %v", text, err)
				}
			}
		}
	}
}

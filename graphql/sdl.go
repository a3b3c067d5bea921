package graphql

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"
)

// SDL returns the schema as text, sorted by name: for people, and for tools that make code from it.
func SDL() (string, error) {
	schema, err := newSchema()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	all := schema.TypeMap()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.HasPrefix(name, "__") || slices.Contains([]string{"String", "Int", "Float", "Boolean", "ID"}, name) {
			continue
		}
		writeType(&b, all[name])
	}
	return b.String(), nil
}

func writeType(b *strings.Builder, t graphql.Type) {
	writeAbout(b, "", t.Description())
	switch t := t.(type) {
	case *graphql.Object:
		fmt.Fprintf(b, "type %s {\n", t.Name())
		fields := t.Fields()
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			writeAbout(b, "  ", fields[name].Description)
			fmt.Fprintf(b, "  %s%s: %s\n", name, argumentsText(fields[name].Args), fields[name].Type)
		}
		b.WriteString("}\n\n")
	case *graphql.InputObject:
		fmt.Fprintf(b, "input %s {\n", t.Name())
		fields := t.Fields()
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			writeAbout(b, "  ", fields[name].Description())
			fmt.Fprintf(b, "  %s: %s%s\n", name, fields[name].Type, defaultText(fields[name].Type, fields[name].DefaultValue))
		}
		b.WriteString("}\n\n")
	case *graphql.Enum:
		fmt.Fprintf(b, "enum %s {\n", t.Name())
		names := make([]string, 0, len(t.Values()))
		for _, v := range t.Values() {
			names = append(names, v.Name)
		}
		slices.Sort(names)
		fmt.Fprintf(b, "  %s\n}\n\n", strings.Join(names, "\n  "))
	case *graphql.Scalar:
		fmt.Fprintf(b, "scalar %s\n\n", t.Name())
	}
}

func writeAbout(b *strings.Builder, indent, about string) {
	if about != "" {
		text, _ := json.Marshal(about) // text always marshals
		fmt.Fprintf(b, "%s%s\n", indent, text)
	}
}

func argumentsText(all []*graphql.Argument) string {
	if len(all) == 0 {
		return ""
	}
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = fmt.Sprintf("%s: %s%s", a.Name(), a.Type, defaultText(a.Type, a.DefaultValue))
	}
	slices.Sort(texts)
	return "(" + strings.Join(texts, ", ") + ")"
}

func defaultText(t graphql.Type, v any) string {
	if v == nil {
		return ""
	}
	if _, ok := t.(*graphql.Enum); ok {
		return fmt.Sprintf(" = %v", v)
	}
	text, _ := json.Marshal(v) // a default is a number, a text or a truth
	return " = " + string(text)
}

package graphql

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"
	"github.com/graphql-go/graphql/language/parser"
	"github.com/graphql-go/graphql/language/printer"
)

var update = flag.Bool("update", false, "write testdata/schema.graphql anew")

func TestTheSchemaIsTheOneThatIsKept(t *testing.T) {
	got, err := SDL()
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/schema.graphql"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the schema has changed (go test ./graphql -update writes it):\n%s", firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return "got  " + a[i] + "\nwant " + strings.Join(b[min(i, len(b)):min(i+1, len(b))], "")
		}
	}
	return "want more: " + strings.Join(b[len(a):min(len(a)+1, len(b))], "")
}

// later are the parts of the core that are not built yet. A line goes when its part comes; nothing else may be missing.
var later = map[string]bool{
	"Query.enrollments": true, "Query.certificates": true,
	"Mutation.approve":  true,
	"Subscription":      true,
	"Device.identities": true,
	"Log.checkpoint":    true, "Log.publicKey": true, "Log.inclusionProof": true, "Log.consistencyProof": true,
	"SendCommandPayload.approval":    true,
	"CommandState.AWAITING_APPROVAL": true,
}

// TestTheCoreIsThere holds the schema to the core that dashboards depend on: its names, arguments and types.
func TestTheCoreIsThere(t *testing.T) {
	schema, err := newSchema()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/core.graphql")
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.NewReplacer("…", "...", "’", "'").Replace(string(text)) // the parser loses its place after others
	core, err := parser.Parse(parser.ParseParams{Source: plain})
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	missing := func(name string) {
		used[name] = true
		if !later[name] {
			t.Errorf("the core has %s, the schema has not", name)
		}
	}
	for _, def := range core.Definitions {
		switch def := def.(type) {
		case *ast.ObjectDefinition:
			coreObject(t, schema, def, missing)
		case *ast.InputObjectDefinition:
			coreInput(t, schema, def, missing)
		case *ast.EnumDefinition:
			coreEnum(schema, def, missing)
		case *ast.ScalarDefinition:
			if schema.Type(def.Name.Value) == nil {
				missing(def.Name.Value)
			}
		default:
			t.Errorf("the core has a %T", def)
		}
	}
	for name := range later {
		if !used[name] {
			t.Errorf("%s is there, or not in the core: take it off the list", name)
		}
	}
}

func coreObject(t *testing.T, schema graphql.Schema, def *ast.ObjectDefinition, missing func(string)) {
	object, ok := schema.Type(def.Name.Value).(*graphql.Object)
	if !ok {
		missing(def.Name.Value)
		return
	}
	for _, want := range def.Fields {
		name := def.Name.Value + "." + want.Name.Value
		got := object.Fields()[want.Name.Value]
		if got == nil {
			missing(name)
			continue
		}
		if typeText := printer.Print(want.Type).(string); got.Type.String() != typeText {
			t.Errorf("%s is a %s, the core wants %s", name, got.Type, typeText)
		}
		for _, a := range want.Arguments {
			coreArgument(t, name, got.Args, a)
		}
	}
}

func coreArgument(t *testing.T, field string, got []*graphql.Argument, want *ast.InputValueDefinition) {
	for _, a := range got {
		if a.Name() != want.Name.Value {
			continue
		}
		if typeText := printer.Print(want.Type).(string); a.Type.String() != typeText {
			t.Errorf("%s(%s) is a %s, the core wants %s", field, a.Name(), a.Type, typeText)
		}
		if want.DefaultValue != nil && defaultText(a.Type, a.DefaultValue) != " = "+printer.Print(want.DefaultValue).(string) {
			t.Errorf("%s(%s) has the default %v", field, a.Name(), a.DefaultValue)
		}
		return
	}
	t.Errorf("%s has no argument %s", field, want.Name.Value)
}

func coreInput(t *testing.T, schema graphql.Schema, def *ast.InputObjectDefinition, missing func(string)) {
	object, ok := schema.Type(def.Name.Value).(*graphql.InputObject)
	if !ok {
		missing(def.Name.Value)
		return
	}
	for _, want := range def.Fields {
		name := def.Name.Value + "." + want.Name.Value
		got := object.Fields()[want.Name.Value]
		if got == nil {
			missing(name)
			continue
		}
		if typeText := printer.Print(want.Type).(string); got.Type.String() != typeText {
			t.Errorf("%s is a %s, the core wants %s", name, got.Type, typeText)
		}
		if want.DefaultValue != nil && defaultText(got.Type, got.DefaultValue) != " = "+printer.Print(want.DefaultValue).(string) {
			t.Errorf("%s has the default %v", name, got.DefaultValue)
		}
	}
}

func coreEnum(schema graphql.Schema, def *ast.EnumDefinition, missing func(string)) {
	enum, ok := schema.Type(def.Name.Value).(*graphql.Enum)
	if !ok {
		missing(def.Name.Value)
		return
	}
	for _, want := range def.Values {
		found := false
		for _, got := range enum.Values() {
			found = found || got.Name == want.Name.Value
		}
		if !found {
			missing(def.Name.Value + "." + want.Name.Value)
		}
	}
}

func TestEveryFieldHasAPermission(t *testing.T) {
	schema, err := newSchema()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for name, one := range schema.TypeMap() {
		object, ok := one.(*graphql.Object)
		if !ok || strings.HasPrefix(name, "__") {
			continue
		}
		for field := range object.Fields() {
			if _, declared := permissionOf(name, field); !declared {
				t.Errorf("nobody said who may ask for %s.%s", name, field)
			}
			used[name], used[name+"."+field] = true, true
		}
	}
	for name := range permissions {
		if !used[name] {
			t.Errorf("the permission of %s is for nothing", name)
		}
	}
	for _, root := range []string{"Query", "Mutation"} {
		if permissions[root] != nil {
			t.Errorf("%s has a permission for all its fields: each must have its own", root)
		}
	}
}

func TestTypedMutationsNameAppleKeys(t *testing.T) {
	for key, want := range map[string]string{
		"PIN": "pin", "PhoneNumber": "phoneNumber", "DNSServers": "dnsServers", "iTunesStoreID": "iTunesStoreID", "UDID": "udid", "": "",
	} {
		if got := argumentName(key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	lock, ok := typedMutations()["deviceLock"]
	if !ok || lock.keys["pin"].Path != "PIN" || lock.keys["phoneNumber"].Path != "PhoneNumber" {
		t.Errorf("deviceLock takes %v", lock.keys)
	}
	for name, m := range typedMutations() {
		top := 0
		for _, k := range m.spec.Request {
			if !strings.ContainsAny(k.Path, ".[*") {
				top++
			}
		}
		if top != len(m.keys) {
			t.Errorf("%s takes %d of %d keys", name, len(m.keys), top)
		}
	}
}

package graphql

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

func prepareOnce(t testing.TB, text string, variables map[string]any) error {
	t.Helper()
	schema, err := newSchema()
	if err != nil {
		t.Fatal(err)
	}
	d := &documents{schema: &schema}
	_, err = d.prepare(text, variables)
	return err
}

// doubling makes a query that asks for 2^n fields by n fragments.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("{me{...F0}}")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Operator{...F%d ...F%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&b, " fragment F%d on Operator{id}", n)
	return b.String()
}

// circle makes a query whose n fragments contain each other in turn, with between as the way into the next.
func circle(n int, between string) string {
	var b strings.Builder
	b.WriteString("{device(id:1){...F0}}")
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on Device{"+between+"}", i, fmt.Sprintf("...F%d", (i+1)%n))
	}
	return b.String()
}

// nested makes a document of the given depth of brackets.
func nested(depth int) string {
	return strings.Repeat("{a", depth) + strings.Repeat("}", depth)
}

// attack are documents that would harm the library below if it saw them.
var attacks = []struct {
	name, text string
}{
	{"T01 a fragment that spreads itself", "{node{...F}} fragment F on Node{...F}"},
	{"T01 shorter", "{...F} fragment F on Q{...F}"},
	{"T02 two fragments", circle(2, "%s")},
	{"T02 fifty fragments", circle(50, "%s")},
	{"T02 inline", circle(7, "... on Device{%s}")},
	{"T02 nested", circle(7, "queue{device{%s}}")},
	{"T02 a circle that nobody uses", "{me{id}} fragment A on Device{...B} fragment B on Device{...A}"},
	{"T04 open selections", strings.Repeat("{a", 128<<10)},
	{"T04 open lists", "{a(b:" + strings.Repeat("[", 256<<10)},
	{"T04 open objects", "{a(b:" + strings.Repeat("{a:", 85<<10)},
	{"T04 open arguments", "{a" + strings.Repeat("(", 256<<10)},
	{"T04 60 kB of open selections", strings.Repeat("{a", 30_000)},
	{"T04 60 kB of open lists", "{a(b:" + strings.Repeat("[", 60_000)},
	{"T04 open types", "query($a:" + strings.Repeat("[", 60_000)},
	{"T05 depth 33", nested(maxDepth + 1)},
	{"T05 depth 33 by fragments", deepFragments()},
	{"T06 2^10 fields", doubling(10)},
	{"T06 2^18 fields", doubling(18)},
	{"T06 2^40 fields", doubling(40)},
	{"T07 connections in connections", "{devices(first:100){nodes{commands(first:100){nodes{device{commands(first:100){nodes{uuid}}}}}}}}"},
	{"T07 lists without a bound", "{devices(first:1000){nodes{queue{device{queue{device{queue{uuid}}}}}}}}"},
	{"T08 5,000 aliases", "{" + aliases(5000) + "}"},
	{"T08 5,000 directives", "{me" + strings.Repeat(" @a", 5000) + "{id}}"},
	{"T08 5,000 fields", "{me{" + strings.Repeat("id ", 5000) + "}}"},
	{"1,300 aliases", "{" + aliases(1300) + "}"},
	{"200 twins with selections", "{" + strings.Repeat("me{id} ", 200) + "}"},
	{"a circle of types", "{__schema{types{fields{type{fields{type{fields{name}}}}}}}}"},
	{"a name without end", "{" + strings.Repeat("a", 60_000) + "}"},
	{"a type in the request", "type A{a:Int} {me{id}}"},
	{"a long chain of empty fragments", chain(1200)},
}

func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d:me{id} ", i)
	}
	return b.String()
}

func deepFragments() string {
	var b strings.Builder
	b.WriteString("{device(id:1){...F0}}")
	for i := range 20 {
		fmt.Fprintf(&b, " fragment F%d on Device{queue{device{...F%d}}}", i, i+1)
	}
	b.WriteString(" fragment F20 on Device{id}")
	return b.String()
}

func chain(n int) string {
	var b strings.Builder
	b.WriteString("{me{...F0}}")
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Operator{...F%d}", i, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Operator{id}", n)
	return b.String()
}

func TestTheGuardRefusesWhatWouldHarm(t *testing.T) {
	schema, err := newSchema()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			d := &documents{schema: &schema}
			_, err := d.prepare(a.text, nil) // once unmeasured
			if _, ok := errors.AsType[*limit](err); !ok {
				t.Fatalf("%v (%T), want a limit", err, err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err = d.prepare(a.text, nil); err == nil {
				t.Error("the second time it was let through")
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
				t.Errorf("refused after %d bytes were allocated", n)
			}
		})
	}
}

func TestTheGuardLetsThrough(t *testing.T) {
	deep := "{device(id:1){" + strings.Repeat("queue{device{", 3) + "id" + strings.Repeat("}}", 3) + "}}"
	brackets := strings.Repeat("{[(", 40)
	tests := map[string]string{
		"nested lists, few":           deep,
		"brackets in a string":        `{device(id:"` + brackets + `"){id}}`,
		"brackets in a comment":       "{me{id}} #" + brackets + "\n",
		"brackets in a block":         `{device(id:"""` + brackets + `\"""` + brackets + `"""){id}}`,
		"an escaped quote":            `{device(id:"\"` + brackets + `"){id}}`,
		"a comment that is not ASCII": "{me{id}\n# größer … 日本\n log{size}}",
		"a byte order mark":           "\ufeff{me{id}\ufeff log{size}}",
		"a string that is not ASCII":  `{device(id:"größer … 日本"){id} log{size}}`,
		"a fragment twice":            "{me{...F} a:me{...F}} fragment F on Operator{id}",
		"a fragment in fragments":     doubling(6),
		"a page of 1,000":             "{devices(first:1000){nodes{id name osVersion status lastSeenAt}}}",
		"the schema, as tools ask":    introspection,
	}
	for name, text := range tests {
		if err := prepareOnce(t, text, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDepthIsCountedToTheBracket(t *testing.T) {
	for depth, ok := range map[int]bool{maxDepth - 1: true, maxDepth: true, maxDepth + 1: false} {
		if _, err := scan(nested(depth)); (err == nil) != ok {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
	for n, ok := range map[int]bool{maxTokens: true, maxTokens + 1: false} {
		if _, err := scan(strings.Repeat("a ", n)); (err == nil) != ok {
			t.Errorf("%d tokens: %v", n, err)
		}
	}
	for n, ok := range map[int]bool{maxDocument: true, maxDocument + 1: false} {
		if _, err := scan(strings.Repeat(" ", n)); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestTheCostFollowsVariables(t *testing.T) {
	const q = "query($n:Int=5){devices(first:$n){nodes{commands(first:$n){nodes{uuid}}}}}"
	tests := []struct {
		variables map[string]any
		ok        bool
	}{
		{nil, true},
		{map[string]any{"n": 50}, true},
		{map[string]any{"n": 500}, false},
		{map[string]any{"n": 500.0}, false},
		{map[string]any{"n": "500"}, false},
		{map[string]any{"n": -5}, true},
	}
	schema, err := newSchema()
	if err != nil {
		t.Fatal(err)
	}
	d := &documents{schema: &schema}
	for _, test := range tests {
		for _, again := range []string{"first", "prepared"} {
			if _, err := d.prepare(q, test.variables); (err == nil) != test.ok {
				t.Errorf("%v, %s: %v", test.variables, again, err)
			}
		}
	}
}

func TestWhatBreaksTheParserIsAnAnswer(t *testing.T) {
	for _, text := range []string{"query A($a:){hello}", "{", "}", "{me{id}", "\x00", "{me(:)}", `{device(id:"`, "query", "{me{...}}", "{...F}", "{...on}",
		"{a{__schema{types{name}}}}"} {
		err := prepareOnce(t, text, nil)
		if _, ok := errors.AsType[*invalid](err); !ok {
			t.Errorf("%q: %v (%T), want invalid", text, err, err)
		}
	}
}

func TestManyErrorsAreToldInBounds(t *testing.T) {
	text := strings.Repeat("\n", 50<<10) + "{me{" + strings.Repeat("idd ", 90) + "}}"
	start := time.Now()
	err := prepareOnce(t, text, nil)
	wrong, ok := errors.AsType[*invalid](err)
	if !ok || len(wrong.errors) > maxErrors {
		t.Fatalf("%v, want %d errors at most", err, maxErrors)
	}
	if at := wrong.errors[0].Locations; len(at) == 0 || at[0].Line != 50<<10+1 || at[0].Column != 5 {
		t.Errorf("the first error is at %v", at)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestPreparedDocumentsAreBounded(t *testing.T) {
	schema, err := newSchema()
	if err != nil {
		t.Fatal(err)
	}
	d := &documents{schema: &schema}
	for i := range maxKept + 100 {
		if _, err := d.prepare(fmt.Sprintf("{me{a%d:id}}", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.kept) != maxKept || d.order.Len() != maxKept {
		t.Errorf("%d documents are kept, want %d", len(d.kept), maxKept)
	}
	long := "#" + strings.Repeat("x", 60<<10) + "\n"
	for i := range 30 {
		if _, err := d.prepare(fmt.Sprintf("%s{me{b%d:id}}", long, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	sum := 0
	for text := range d.kept {
		sum += len(text)
	}
	if sum != d.bytes || sum > maxPrepared {
		t.Errorf("%d bytes are kept, counted as %d; want %d at most", sum, d.bytes, maxPrepared)
	}
}

func FuzzDocument(f *testing.F) {
	for _, a := range attacks {
		if len(a.text) < 4<<10 {
			f.Add(a.text)
		}
	}
	f.Add(introspection)
	f.Add(`query Q($a: [ID!]! = ["x"]) @skip(if: true) { device(id: """b""") { ... @include(if: $a) { id } } }`)
	schema, err := newSchema()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := &documents{schema: &schema}
		start := time.Now()
		_, _ = d.prepare(text, nil)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%v for %q", took, text)
		}
	})
}

// introspection is the question that GraphiQL and code generators ask.
const introspection = `query IntrospectionQuery { __schema { queryType { name } mutationType { name } subscriptionType { name }
	types { ...FullType } directives { name description locations args { ...InputValue } } } }
	fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name description args { ...InputValue }
		type { ...TypeRef } isDeprecated deprecationReason } inputFields { ...InputValue } interfaces { ...TypeRef }
		enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
	fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
	fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
		ofType { kind name ofType { kind name ofType { kind name } } } } } } } }`

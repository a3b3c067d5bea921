package graphql

import (
	"strings"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"
	"github.com/graphql-go/graphql/language/kinds"
)

// What an operation may ask for at most, its fragments put in.
const (
	maxFields    = 1000   // in the document, each written out wherever a fragment brings it
	maxTwins     = 100    // fields of one name in one selection: the validator compares each with each
	maxCost      = 20_000 // fields in the answer, as first and last promise it
	maxReflected = 2      // lists of types within lists of types, in a question about the schema itself

	listSize = 10 // what a list is taken for that nobody bounds by first or last
)

// perField is what a field's own work is taken for where it is more than an object or a page.
var perField = map[string]int{"fleetHistory": maxHistory}

// A weight is what a selection asks for: fields written, fields answered, depth of selections, depth of
// questions about types.
type weight struct{ fields, cost, depth, reflected int }

// A scale weighs the operations of one document. Every fragment is weighed once, so that the work is that of
// reading the document, however much its fragments would unfold to.
type scale struct {
	schema    *graphql.Schema
	fragments map[string]*ast.FragmentDefinition
	variables map[string]any
	defaults  map[string]ast.Value
	weighed   map[string]weight
	open      map[string]bool // fragments that are being weighed: to meet one again is a cycle
}

// weigh refuses a document in which fragments stand in a circle, and operations that ask for too much.
func weigh(schema *graphql.Schema, doc *ast.Document, variables map[string]any) (err error) {
	defer recovered("weigh", &err)
	s := scale{schema: schema, fragments: map[string]*ast.FragmentDefinition{}, variables: variables, open: map[string]bool{}}
	for _, def := range doc.Definitions {
		if f, ok := def.(*ast.FragmentDefinition); ok && f.Name != nil {
			s.fragments[f.Name.Value] = f
		}
	}
	var total weight
	for _, def := range doc.Definitions {
		w, err := s.definition(def)
		if err != nil {
			return err
		}
		total = weight{total.fields + w.fields, max(total.cost, w.cost), max(total.depth, w.depth), max(total.reflected, w.reflected)}
	}
	return total.check()
}

func (w weight) check() error {
	switch {
	case w.depth > maxDepth:
		return limitf("ask in parts", "selections nest more than %d deep", maxDepth)
	case w.fields > maxFields:
		return limitf("ask in parts", "the document asks for more than %d fields", maxFields)
	case w.cost > maxCost:
		return limitf("take a smaller first, or fewer fields in nested lists", "the answer could have more than %d fields", maxCost)
	case w.reflected > maxReflected:
		return limitf("use the introspection query of your tools as it stands", "questions about types nest too deep")
	}
	return nil
}

func (s *scale) definition(def ast.Node) (weight, error) {
	switch def := def.(type) {
	case *ast.OperationDefinition:
		s.weighed, s.defaults = map[string]weight{}, map[string]ast.Value{}
		for _, v := range def.VariableDefinitions {
			if v != nil && v.Variable != nil && v.Variable.Name != nil {
				s.defaults[v.Variable.Name.Value] = v.DefaultValue
			}
		}
		return s.selection(def.SelectionSet, s.root(def.Operation))
	case *ast.FragmentDefinition:
		if s.weighed == nil {
			s.weighed = map[string]weight{}
		}
		if def.Name == nil {
			return weight{}, nil
		}
		w, err := s.fragment(def.Name.Value)
		return weight{fields: w.fields, depth: w.depth}, err // what it costs depends on who uses it
	}
	return weight{}, limitf("", "a request holds operations and fragments alone")
}

func (s *scale) root(operation string) graphql.Type {
	switch operation {
	case ast.OperationTypeMutation:
		return s.schema.MutationType()
	case ast.OperationTypeSubscription:
		return nil // there are none: the validator, or the door, will say so
	}
	return s.schema.QueryType()
}

// selection weighs a selection on a type, which is nil where the document is wrong: the validator will say so.
func (s *scale) selection(set *ast.SelectionSet, on graphql.Type) (weight, error) {
	var sum weight
	if set == nil {
		return sum, nil
	}
	twins := map[string]int{}
	for _, sel := range set.Selections {
		w, err := s.selected(sel, on)
		if err != nil {
			return sum, err
		}
		if f, ok := sel.(*ast.Field); ok {
			if twins[answerName(f)]++; twins[answerName(f)] > maxTwins {
				return sum, limitf("give each its own alias", "one selection asks for the same field more than %d times", maxTwins)
			}
		}
		sum = weight{most(sum.fields + w.fields), most(sum.cost + w.cost), max(sum.depth, w.depth), max(sum.reflected, w.reflected)}
	}
	return sum, nil
}

func answerName(f *ast.Field) string {
	if f.Alias != nil {
		return f.Alias.Value
	}
	return f.Name.Value
}

func (s *scale) selected(sel ast.Selection, on graphql.Type) (weight, error) {
	switch sel := sel.(type) {
	case *ast.Field:
		return s.field(sel, on)
	case *ast.InlineFragment:
		return s.selection(sel.SelectionSet, s.narrowed(sel.TypeCondition, on))
	case *ast.FragmentSpread:
		if sel.Name != nil {
			w, err := s.fragment(sel.Name.Value)
			w.fields = most(w.fields + 1) // a long chain of empty fragments is work too
			return w, err
		}
	}
	return weight{}, nil
}

// named returns the type without its lists and non-nulls.
func named(t graphql.Type) graphql.Type {
	of, _ := graphql.GetNamed(t).(graphql.Type)
	return of
}

func (s *scale) narrowed(to *ast.Named, on graphql.Type) graphql.Type {
	if to == nil || to.Name == nil {
		return on
	}
	return s.schema.Type(to.Name.Value)
}

func (s *scale) fragment(name string) (weight, error) {
	if w, known := s.weighed[name]; known {
		return w, nil
	}
	def := s.fragments[name]
	if def == nil {
		return weight{}, nil
	}
	if s.open[name] {
		return weight{}, limitf("", "the fragment %q contains itself", name)
	}
	s.open[name] = true
	w, err := s.selection(def.SelectionSet, s.narrowed(def.TypeCondition, nil))
	s.open[name] = false
	s.weighed[name] = w
	return w, err
}

func (s *scale) field(f *ast.Field, on graphql.Type) (weight, error) {
	def := s.lookup(f, on)
	var of graphql.Type
	if def != nil {
		of = named(def.Type)
	}
	w, err := s.selection(f.SelectionSet, of)
	w.fields, w.depth = w.fields+1, w.depth+1
	if w.depth > maxDepth {
		return w, w.check() // no deeper: the stack is ours
	}
	w.cost = most((w.cost + 1) * s.times(f, def, on))
	if on == graphql.TypeType && def != nil && listed(def.Type) {
		w.reflected++
	}
	return w, err
}

func (s *scale) lookup(f *ast.Field, on graphql.Type) *graphql.FieldDefinition {
	switch f.Name.Value {
	case "__schema":
		return graphql.SchemaMetaFieldDef
	case "__type":
		return graphql.TypeMetaFieldDef
	}
	switch on := on.(type) {
	case *graphql.Object:
		return on.Fields()[f.Name.Value]
	case *graphql.Interface:
		return on.Fields()[f.Name.Value]
	}
	return nil
}

// times returns how often the field's own selection may be answered. The entries of a page were counted where the
// page was asked for.
func (s *scale) times(f *ast.Field, def *graphql.FieldDefinition, on graphql.Type) int {
	if def == nil || f.SelectionSet == nil || on != nil && strings.HasSuffix(on.Name(), "Connection") {
		return 1
	}
	n, bounded := 0, false
	for _, arg := range def.Args {
		if arg.Name() == "first" || arg.Name() == "last" {
			bounded = true
			n = max(n, s.number(f, arg))
		}
	}
	switch {
	case bounded:
		return max(n, 1)
	case perField[f.Name.Value] > 0:
		return perField[f.Name.Value]
	case listed(def.Type) && !reflective(named(def.Type)):
		return listSize
	}
	return 1
}

// number returns an argument's value, however it is given.
func (s *scale) number(f *ast.Field, arg *graphql.Argument) int {
	n, _ := arg.DefaultValue.(int)
	for _, given := range f.Arguments {
		if given.Name == nil || given.Name.Value != arg.Name() {
			continue
		}
		value := given.Value
		if v, ok := value.(*ast.Variable); ok && v.Name != nil {
			if told, ok := graphql.Int.ParseValue(s.variables[v.Name.Value]).(int); ok {
				return most(told)
			}
			value = s.defaults[v.Name.Value]
		}
		if value != nil && value.GetKind() == kinds.IntValue {
			if told, ok := graphql.Int.ParseLiteral(value).(int); ok {
				return most(told)
			}
		}
	}
	return n
}

func listed(t graphql.Type) bool {
	if n, ok := t.(*graphql.NonNull); ok {
		t = n.OfType
	}
	_, ok := t.(*graphql.List)
	return ok
}

// reflective reports whether the type speaks of the schema itself.
func reflective(t graphql.Type) bool { return len(t.Name()) > 2 && t.Name()[:2] == "__" }

// most keeps sums and products of weights from overflowing.
func most(n int) int { return min(n, 1<<24) }

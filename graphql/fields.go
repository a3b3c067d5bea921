package graphql

import (
	"context"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/projections"
)

// get is a field that is read from its source without further work.
func get[S any](about string, t graphql.Output, f func(S) any) *graphql.Field {
	return field(about, t, nil, func(_ context.Context, _ *run, s S, _ args) (any, error) { return f(s), nil })
}

// ask is a field that looks something up for its source.
func ask[S any](about string, t graphql.Output, f func(context.Context, *run, S) (any, error)) *graphql.Field {
	return field(about, t, nil, func(ctx context.Context, r *run, s S, _ args) (any, error) { return f(ctx, r, s) })
}

// field is a field with arguments. Its context is the request's, with its deadline.
func field[S any](about string, t graphql.Output, takes graphql.FieldConfigArgument, f func(context.Context, *run, S, args) (any, error)) *graphql.Field {
	return &graphql.Field{
		Description: about, Type: t, Args: takes,
		Resolve: func(p graphql.ResolveParams) (any, error) {
			r := runOf(p.Context)
			s, _ := p.Source.(S) // the source of a root field is nothing
			return guarded(func() (any, error) { return f(r.ctx, r, s, args(p.Args)) })
		},
	}
}

// root is a field of Query or Mutation.
func root(about string, t graphql.Output, takes graphql.FieldConfigArgument, f func(context.Context, *run, args) (any, error)) *graphql.Field {
	return field(about, t, takes, func(ctx context.Context, r *run, _ any, a args) (any, error) { return f(ctx, r, a) })
}

// a list of what is never null, which is never null itself.
func many(t graphql.Type) graphql.Output {
	return graphql.NewNonNull(graphql.NewList(graphql.NewNonNull(t)))
}

func must(t graphql.Type) *graphql.NonNull { return graphql.NewNonNull(t) }

func arg(about string, t graphql.Input) *graphql.ArgumentConfig {
	return &graphql.ArgumentConfig{Type: t, Description: about}
}

func input(about string, t graphql.Input) *graphql.InputObjectFieldConfig {
	return &graphql.InputObjectFieldConfig{Type: t, Description: about}
}

// args are the arguments of a field, or the fields of an input object. What was not given is not there.
type args map[string]any

func (a args) text(name string) string {
	s, _ := a[name].(string)
	return s
}

func (a args) moment(name string) time.Time {
	t, _ := a[name].(time.Time)
	return t
}

func (a args) number(name string) int {
	n, _ := a[name].(int)
	return n
}

// flag returns a boolean, nil if it was not given.
func (a args) flag(name string) *bool {
	if b, ok := a[name].(bool); ok {
		return &b
	}
	return nil
}

func (a args) object(name string) args {
	o, _ := a[name].(map[string]any)
	return o
}

func (a args) objects(name string) []args {
	list, _ := a[name].([]any)
	out := make([]args, 0, len(list))
	for _, one := range list {
		o, _ := one.(map[string]any)
		out = append(out, o)
	}
	return out
}

// texts returns a list of texts or enum values as texts of type T.
func texts[T ~string](a args, name string) []T {
	given, _ := a[name].([]any)
	var out []T
	for _, one := range given {
		if s, ok := one.(string); ok {
			out = append(out, T(s))
		}
	}
	return out
}

// page returns the part of a list that is wanted. A last counts for more than a first, which has a default.
func (a args) page() (projections.Page, error) {
	p := projections.Page{First: a.number("first"), After: a.text("after"), Last: a.number("last"), Before: a.text("before")}
	if _, given := a["last"]; given {
		p.First = 0
		return p, inPage("last", p.Last)
	}
	return p, inPage("first", p.First)
}

func inPage(name string, n int) error {
	if n < 1 || n > projections.MaxPage {
		return domain.Refusef(domain.Invalid, "%s must be between 1 and %d", name, projections.MaxPage)
	}
	return nil
}

// forward are the arguments of a list that is read from its start.
func forward(more graphql.FieldConfigArgument) graphql.FieldConfigArgument {
	return with(more, graphql.FieldConfigArgument{
		"first": {Type: graphql.Int, DefaultValue: 50, Description: "How many, at most 1000."},
		"after": {Type: graphql.String, Description: "A cursor: what follows it."},
	})
}

// bothWays are the arguments of a list that is read from either end.
func bothWays(more graphql.FieldConfigArgument) graphql.FieldConfigArgument {
	return with(forward(more), graphql.FieldConfigArgument{
		"last":   {Type: graphql.Int, Description: "How many from the end, at most 1000; then first is not looked at."},
		"before": {Type: graphql.String, Description: "A cursor: what stands before it."},
	})
}

func with(a, b graphql.FieldConfigArgument) graphql.FieldConfigArgument {
	all := graphql.FieldConfigArgument{}
	for name, one := range a {
		all[name] = one
	}
	for name, one := range b {
		all[name] = one
	}
	return all
}

package graphql

import (
	"context"
	"encoding/base64"
	"strconv"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A connection is one page of a list, as Relay has it. total counts the whole list; nil where that is not cheap.
type connection struct {
	edges                []edge
	hasNext, hasPrevious bool
	total                func(context.Context, *run) (any, error)
}

type edge struct {
	cursor string
	node   any
}

// connect makes a connection from a page, and each node from what stands there.
func connect[T any](page projections.Listing[T], node func(T) any) *connection {
	c := &connection{hasNext: page.HasNext, hasPrevious: page.HasPrevious, edges: make([]edge, len(page.Edges))}
	for i, e := range page.Edges {
		c.edges[i] = edge{e.Cursor, node(e.Node)}
	}
	return c
}

// slice makes a connection from a whole list of which a page is wanted. Its cursors count.
func slice[T any](all []T, a args) (*connection, error) {
	p, err := a.page()
	if err != nil {
		return nil, err
	}
	from := 0
	if p.After != "" {
		text, err := base64.RawURLEncoding.DecodeString(p.After)
		n, wrong := strconv.Atoi(string(text))
		if err != nil || wrong != nil || n < 0 {
			return nil, domain.Refusef(domain.Invalid, "the cursor comes from no list of this kind")
		}
		from = min(n, len(all))
	}
	to := min(from+p.First, len(all))
	c := &connection{hasNext: to < len(all), hasPrevious: from > 0}
	for i, one := range all[from:to] {
		c.edges = append(c.edges, edge{base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(from + i + 1))), one})
	}
	c.total = func(context.Context, *run) (any, error) { return len(all), nil }
	return c, nil
}

func asOf() graphql.FieldConfigArgument {
	return graphql.FieldConfigArgument{"asOf": arg("The moment in question; now if absent.", timeScalar)}
}

// listAsOf makes a field for a view's list, in pages, as it was at a moment.
func listAsOf[T any](about string, connections *graphql.Object,
	list func(*projections.Views, context.Context, eventstore.Position, projections.Page) (projections.Listing[T], error), node func(T, moment) any,
) *graphql.Field {
	return root(about, must(connections), bothWays(asOf()), func(ctx context.Context, r *run, a args) (any, error) {
		when, err := r.moment(ctx, a)
		if err != nil {
			return nil, err
		}
		p, err := a.page()
		if err != nil {
			return nil, err
		}
		page, err := list(r.Views, ctx, when.at, p)
		return connect(page, func(x T) any { return node(x, when) }), err
	})
}

// oneAsOf makes a field for one thing of a view, by the name that the argument key gives, as it was at a moment; null if
// it was not there.
func oneAsOf[T any](of *graphql.Object, key string,
	find func(*projections.Views, context.Context, string, eventstore.Position) (T, bool, error), node func(T, moment) any,
) *graphql.Field {
	name := graphql.FieldConfigArgument{key: arg("", must(graphql.ID))}
	return root("", of, with(asOf(), name), func(ctx context.Context, r *run, a args) (any, error) {
		when, err := r.moment(ctx, a)
		if err != nil {
			return nil, err
		}
		x, found, err := find(r.Views, ctx, a.text(key), when.at)
		if err != nil || !found {
			return nil, err
		}
		return node(x, when), nil
	})
}

// connection makes the types XConnection and XEdge for a node.
func (t *types) connection(node *graphql.Object) *graphql.Object {
	name := node.Name()
	edges := t.object(name+"Edge", "A "+name+" and where it stands in its list.", func() graphql.Fields {
		return graphql.Fields{
			"cursor": get("Opaque; give it as after or before.", must(graphql.String), func(e edge) any { return e.cursor }),
			"node":   get("", must(node), func(e edge) any { return e.node }),
		}
	})
	return t.object(name+"Connection", "A page of a list.", func() graphql.Fields {
		return graphql.Fields{
			"edges":    get("", many(edges), func(c *connection) any { return c.edges }),
			"nodes":    get("The edges without their cursors.", many(node), nodes),
			"pageInfo": get("", must(t.pageInfo), func(c *connection) any { return c }),
			"totalCount": ask("Of the whole list; null where counting would cost more than the page.", graphql.Int,
				func(ctx context.Context, r *run, c *connection) (any, error) {
					if c.total == nil {
						return nil, nil
					}
					return c.total(ctx, r)
				}),
		}
	})
}

func nodes(c *connection) any {
	all := make([]any, len(c.edges))
	for i, e := range c.edges {
		all[i] = e.node
	}
	return all
}

func pageInfoFields() graphql.Fields {
	return graphql.Fields{
		"hasNextPage":     get("", must(graphql.Boolean), func(c *connection) any { return c.hasNext }),
		"hasPreviousPage": get("", must(graphql.Boolean), func(c *connection) any { return c.hasPrevious }),
		"startCursor": get("", graphql.String, func(c *connection) any {
			if len(c.edges) == 0 {
				return nil
			}
			return c.edges[0].cursor
		}),
		"endCursor": get("", graphql.String, func(c *connection) any {
			if len(c.edges) == 0 {
				return nil
			}
			return c.edges[len(c.edges)-1].cursor
		}),
	}
}

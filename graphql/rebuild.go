package graphql

import (
	"context"
	"errors"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Rebuilder has views folded anew beside those that are served, and returns when that has begun.
type Rebuilder interface {
	Rebuild(ctx context.Context, who handlers.Caller, views []string) error
}

func (t *types) rebuildViews() *graphql.Field {
	return root("Folds views anew beside those that are served, and then serves the new ones; nobody is interrupted. Administrators only. "+
		"It returns when that has begun: views { rebuilding rebuilt rebuildError } tells how far it has come.", many(t.view), graphql.FieldConfigArgument{
		"names": arg("Of views; all if absent.", graphql.NewList(must(graphql.String))),
	}, rebuildViews)
}

func rebuildViews(ctx context.Context, r *run, a args) (any, error) {
	if r.Rebuilder == nil {
		return nil, domain.Refusef(domain.Conflict, "this server does not rebuild its views")
	}
	err := r.Rebuilder.Rebuild(ctx, r.caller, texts[string](a, "names"))
	if errors.Is(err, projections.ErrRebuilding) {
		return nil, domain.WithHint(domain.Refusef(domain.Conflict, "views are being rebuilt already"), "views { rebuilding rebuilt } tells how far it has come")
	}
	if err != nil {
		return nil, err
	}
	return r.Views.List(ctx)
}

package graphql

import (
	"context"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A begun begins rebuilds, and does not do them.
type begun struct {
	*house
	who handlers.Caller
}

func (b *begun) Rebuild(_ context.Context, who handlers.Caller, views []string) error {
	b.who = who
	_, err := b.views.BeginRebuild(views...)
	return err
}

func TestAnAdministratorHasViewsRebuilt(t *testing.T) {
	h := newHouse(t)
	refused := func(role operator.Role, query string) string {
		_, out := h.post(role, query, nil)
		if len(out.Errors) == 0 {
			return "nothing"
		}
		return out.Errors[0].Extensions["code"].(string)
	}
	const ask = `mutation { rebuildViews(names: ["fleet"]) { name rebuilding rebuilt rebuildError } }`
	if got := refused(operator.Administrator, ask); got != "conflict" {
		t.Errorf("nobody rebuilds here: %s", got)
	}
	b := &begun{house: h}
	h.door.Rebuilder = b
	if got := refused(operator.Operator, ask); got != "forbidden" {
		t.Errorf("an operator: %s", got)
	}
	if got := refused(operator.Administrator, `mutation { rebuildViews(names: ["weather"]) { name } }`); got != "not-found" {
		t.Errorf("a view that is not there: %s", got)
	}
	for _, view := range h.asks(operator.Administrator, ask, nil).Data["rebuildViews"].([]any) {
		v := view.(map[string]any)
		if v["rebuilding"] != (v["name"] == "fleet") || (v["rebuilt"] == nil) != (v["name"] != "fleet") || v["rebuildError"] != nil {
			t.Errorf("%v", v)
		}
	}
	if b.who.Role != operator.Administrator {
		t.Errorf("asked by %+v", b.who)
	}
	if got := refused(operator.Administrator, ask); got != "conflict" {
		t.Errorf("a second one: %s", got)
	}
}

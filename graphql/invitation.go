package graphql

import (
	"context"
	"strings"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

func (t *types) makeInvitation() {
	all := make([]string, 0, len(enrollment.Roads()))
	all = append(all, enrollment.Roads()...)
	t.road = enum("Road", "A road on which a device can come in: a profile that is downloaded, Apple's over-the-air profile service, Automated Device Enrollment, or an account in Settings.", all...)
	t.invitation = t.object("Invitation", "A way in.", func() graphql.Fields {
		type way = projections.Invitation
		return graphql.Fields{
			"id":           get("", must(graphql.ID), func(i way) any { return i.ID }),
			"name":         get("", must(graphql.String), func(i way) any { return i.Name }),
			"roads":        get("On which it may be used; all if there is none.", many(t.road), func(i way) any { return i.Roads }),
			"accessRights": get("Apple's bits; null for all.", graphql.Int, func(i way) any { return countOrNull(i.AccessRights) }),
			"limit":        get("How many keys may come in by it; null for any number.", graphql.Int, func(i way) any { return countOrNull(i.Uses) }),
			"used":         get("How many did.", must(graphql.Int), func(i way) any { return i.Used }),
			"expiresAt":    get("", timeScalar, func(i way) any { return i.Expires }),
			"group":        get("That devices are to join.", graphql.ID, func(i way) any { return orNull(i.Group) }),
			"note":         get("", graphql.String, func(i way) any { return orNull(i.Note) }),
			"createdAt":    get("", must(timeScalar), func(i way) any { return i.CreatedAt }),
			"createdBy":    get("", must(graphql.String), func(i way) any { return actorName(i.CreatedBy) }),
			"withdrawnAt":  get("", timeScalar, func(i way) any { return i.WithdrawnAt }),
			"reason":       get("Why it was withdrawn.", graphql.String, func(i way) any { return orNull(i.Reason) }),
		}
	})
	t.invitations = t.connection(t.invitation)
	t.makeMailed()
}

func countOrNull(n int) any {
	if n == 0 {
		return nil
	}
	return n
}

func (t *types) invitationQueries() graphql.Fields {
	node := func(i projections.Invitation, _ moment) any { return i }
	return graphql.Fields{
		"invitations": listAsOf("Ways in, also those that are closed, by id.", t.invitations, (*projections.Views).Invitations, node),
		"invitation":  oneAsOf(t.invitation, "id", (*projections.Views).Invitation, node),
	}
}

func (t *types) invitationMutations() graphql.Fields {
	return graphql.Fields{
		"invite": root("Opens a way in.", must(t.invitation), graphql.FieldConfigArgument{
			"id":           arg("Letters, digits, hyphens and underscores, at most 64; a random one if absent. None is used twice.", graphql.ID),
			"name":         arg("", must(graphql.String)),
			"roads":        arg("All if absent.", graphql.NewList(must(t.road))),
			"accessRights": arg("Apple's bits; all if absent.", graphql.Int),
			"limit":        arg("How many keys may come in by it; any number if absent.", graphql.Int),
			"expiresAt":    arg("Never if absent.", timeScalar),
			"group":        arg("That devices are to join.", graphql.ID),
			"note":         arg("", graphql.String),
		}, invite),
		"inviteByMail": root("Makes an invitation of its own for each address, and mails each its link: to the mail server of --smtp, or into files. It answers when the mail server has taken the letters, or has not.", many(t.mailed), graphql.FieldConfigArgument{
			"to":           arg("Addresses without names, 20 at most.", must(graphql.NewList(must(graphql.String)))),
			"name":         arg("Of each invitation; its receiver reads it.", must(graphql.String)),
			"roads":        arg("All if absent.", graphql.NewList(must(t.road))),
			"accessRights": arg("Apple's bits; all if absent.", graphql.Int),
			"limit":        &graphql.ArgumentConfig{Type: graphql.Int, DefaultValue: 1, Description: "How many devices may come in by each link; any number for 0."},
			"expiresAt":    arg("In fourteen days if absent.", timeScalar),
			"group":        arg("That devices are to join.", graphql.ID),
			"note":         arg("", graphql.String),
		}, inviteByMail),
		"mailInvitation": root("Mails the link of an invitation that there is, such as one that could not be mailed. All who get it share its limit.", many(t.mailed), graphql.FieldConfigArgument{
			"id": arg("", must(graphql.ID)), "to": arg("Addresses without names, 20 at most.", must(graphql.NewList(must(graphql.String)))),
		}, mailInvitation),
		"withdrawInvitation": root("Closes a way in: no profile or challenge that was given out for it is good any more. Who came in by it stays.", must(t.invitation), graphql.FieldConfigArgument{
			"id": arg("", must(graphql.ID)), "reason": arg("", must(graphql.String)),
		}, withdrawInvitation),
	}
}

func invite(ctx context.Context, r *run, a args) (any, error) {
	id, at, err := r.Invitations.Invite(ctx, r.caller, a.text("id"), termsOf(a))
	return r.invited(ctx, id, at, err)
}

// termsOf reads what an invitation grants.
func termsOf(a args) enrollment.Terms {
	terms := enrollment.Terms{
		Name: a.text("name"), AccessRights: a.number("accessRights"), Uses: a.number("limit"), Expires: a.moment("expiresAt"),
		Group: a.text("group"), Note: a.text("note"),
	}
	for _, road := range texts[string](a, "roads") {
		terms.Roads = append(terms.Roads, strings.ToLower(road))
	}
	return terms
}

func withdrawInvitation(ctx context.Context, r *run, a args) (any, error) {
	at, err := r.Invitations.Withdraw(ctx, r.caller, a.text("id"), a.text("reason"))
	return r.invited(ctx, a.text("id"), at, err)
}

// invited returns an invitation as it is after a change.
func (r *run) invited(ctx context.Context, id string, at eventstore.Position, err error) (any, error) {
	if err == nil {
		err = r.shows(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	i, _, err := r.Views.Invitation(ctx, id, projections.Now)
	return i, err
}

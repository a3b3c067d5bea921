package graphql

import (
	"context"
	"encoding/base64"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A mailed is one letter, and the invitation that it brings.
type mailed struct {
	handlers.Sent
	invitation projections.Invitation
}

func (t *types) makeMailed() {
	t.mailed = t.object("MailedInvitation", "A letter with an invitation's link.", func() graphql.Fields {
		return graphql.Fields{
			"invitation": get("", must(t.invitation), func(m mailed) any { return m.invitation }),
			"to":         get("", must(graphql.String), func(m mailed) any { return m.To }),
			"sent":       get("Whether it has gone to the mail server, or lies in a file.", must(graphql.Boolean), func(m mailed) any { return m.Problem == "" }),
			"file":       get("In which it lies on the server, where no mail server is set: it waits for somebody to send it.", graphql.String, func(m mailed) any { return orNull(m.File) }),
			"problem":    get("Why it has not gone: mailInvitation tries it again.", graphql.String, func(m mailed) any { return orNull(m.Problem) }),
		}
	})
}

func inviteByMail(ctx context.Context, r *run, a args) (any, error) {
	return r.posted(ctx)(r.Letters.Invite(ctx, r.caller, texts[string](a, "to"), termsOf(a)))
}

func mailInvitation(ctx context.Context, r *run, a args) (any, error) {
	return r.posted(ctx)(r.Letters.Mail(ctx, r.caller, a.text("id"), texts[string](a, "to")))
}

// posted returns what became of letters, with their invitations as they are afterwards.
func (r *run) posted(ctx context.Context) func([]handlers.Sent, eventstore.Position, error) (any, error) {
	return func(all []handlers.Sent, at eventstore.Position, err error) (any, error) {
		if err == nil {
			err = r.shows(ctx, at)
		}
		if err != nil {
			return nil, err
		}
		letters := make([]any, 0, len(all))
		for _, sent := range all {
			i, _, err := r.Views.Invitation(ctx, sent.Invitation, projections.Now)
			if err != nil {
				return nil, err
			}
			letters = append(letters, mailed{sent, i})
		}
		return letters, nil
	}
}

// enrolmentCode returns an invitation's address as a picture.
func enrolmentCode(_ context.Context, r *run, a args) (any, error) {
	id := a.text("invitation")
	if err := enrollment.CheckID(id); err != nil {
		return nil, err
	}
	code, err := handlers.NewQR(r.Link(id))
	if err != nil {
		return nil, err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG()), nil
}

package graphql

import (
	"context"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

func (t *types) leaveMutations() graphql.Fields {
	one := graphql.FieldConfigArgument{
		"device": arg("UDID, EnrollmentID or serial number.", must(graphql.ID)), "reason": arg("Why, for those who read its history.", must(graphql.String)),
	}
	return graphql.Fields{
		"unenrol":        root("Has a device leave management: it is told so when it speaks next, and ends its enrolment itself (iOS and tvOS 17, macOS 14; for older ones remove the enrolment profile). Administrators only.", must(t.device), one, leaving((*handlers.Orders).Unenrol)),
		"stayEnrolled":   root("Takes unenrol back, if the device was not told yet; administrators only.", must(t.device), one, leaving((*handlers.Orders).Stay)),
		"quarantine":     root("Isolates a device: it stays managed and what it says is recorded, but it gets no commands (but those that pass holds), no tokens and no declarations. Administrators only.", must(t.device), one, leaving((*handlers.Orders).Quarantine)),
		"liftQuarantine": root("Serves it as any other again; administrators only.", must(t.device), one, leaving((*handlers.Orders).Lift)),
	}
}

func leaving(do func(o *handlers.Orders, ctx context.Context, c handlers.Caller, deviceID, reason string) (eventstore.Position, error)) func(context.Context, *run, args) (any, error) {
	return func(ctx context.Context, r *run, a args) (any, error) {
		d, err := r.target(ctx, a.text("device"))
		if err != nil {
			return nil, err
		}
		at, err := do(r.Orders, ctx, r.caller, d.ID, a.text("reason"))
		if err != nil {
			return nil, err
		}
		if err := r.shows(ctx, at); err != nil {
			return nil, err
		}
		return r.device(ctx, d.ID, present)
	}
}

func (t *types) roadQueries() graphql.Fields {
	return graphql.Fields{
		"enrolmentLink": root("The address by which an invitation is used. Whoever has it may use it, so it is for those who may change anything.", must(graphql.String), graphql.FieldConfigArgument{
			"invitation": &graphql.ArgumentConfig{Type: graphql.ID, DefaultValue: enrollment.Default, Description: "Its id."},
		}, func(_ context.Context, r *run, a args) (any, error) {
			id := a.text("invitation")
			if err := enrollment.CheckID(id); err != nil {
				return nil, err
			}
			return r.Link(id), nil
		}),
		"enrolmentCode": root("The same address for a camera: a picture (PNG) as a data: address, to be shown or printed.", must(graphql.String), graphql.FieldConfigArgument{
			"invitation": &graphql.ArgumentConfig{Type: graphql.ID, DefaultValue: enrollment.Default, Description: "Its id."},
		}, enrolmentCode),
	}
}

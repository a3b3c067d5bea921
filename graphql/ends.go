package graphql

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

func (t *types) makeEnds() {
	t.endKind = enum("CertificateKind", "What a certificate is for: to issue those of devices, to be believed about them beside (--device-ca), to wake them, to be spoken to by them, to sign their profiles.",
		handlers.EndsRoot, handlers.EndsOther, handlers.EndsPush, handlers.EndsServer, handlers.EndsSigner)
	t.certificateEnd = t.object("CertificateEnd", "A certificate that the server itself depends on, and when it ends.", func() graphql.Fields {
		type end = handlers.End
		return graphql.Fields{
			"kind":     get("", must(t.endKind), func(e end) any { return e.Kind }),
			"name":     get("Its subject, its topic or, of a root, its fingerprint.", must(graphql.String), func(e end) any { return e.Name }),
			"notAfter": get("", must(timeScalar), func(e end) any { return e.NotAfter }),
			"devices": get("How many devices depend on it; null if all do, or if it is not known.", graphql.Int, func(e end) any {
				if e.Kind != handlers.EndsRoot && e.Kind != handlers.EndsPush {
					return nil
				}
				return e.Devices
			}),
			"daysLeft": ask("Whole days until it ends; below zero if it has.", must(graphql.Int), func(_ context.Context, r *run, e end) (any, error) {
				return daysUntil(r.Now(), e.NotAfter), nil
			}),
			"warning": ask("What is to be done, if it ends soon: 60 days or less, fewer for one that was never good for long.", graphql.String, func(_ context.Context, r *run, e end) (any, error) {
				if _, due := domain.EndDue(e.NotBefore, e.NotAfter, r.Now()); !due {
					return nil, nil
				}
				return handlers.Advice(e.Kind), nil
			}),
		}
	})
}

func (t *types) endQueries() graphql.Fields {
	return graphql.Fields{
		"certificateEnds": root("Certificates that the server itself depends on; those that end first come first. Those of devices: identityCertificates.", many(t.certificateEnd), graphql.FieldConfigArgument{
			"within": arg("Those that end within so many days.", graphql.Int),
		}, listEnds),
	}
}

func listEnds(ctx context.Context, r *run, a args) (any, error) {
	var all []handlers.End
	if r.Ends != nil {
		all = r.Ends()
	}
	roots, err := r.Views.Roots(ctx, projections.Now, r.Now())
	if err != nil {
		return nil, err
	}
	for _, x := range roots {
		all = append(all, handlers.End{Kind: handlers.EndsRoot, Name: x.Fingerprint, NotBefore: x.NotBefore, NotAfter: x.NotAfter, Devices: x.Speaking})
	}
	pushes, err := r.Views.PushCertificates(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range pushes {
		all = append(all, handlers.End{Kind: handlers.EndsPush, Name: p.Topic, NotAfter: p.NotAfter, Devices: p.Devices})
	}
	if days, said := a["within"].(int); said {
		all = slices.DeleteFunc(all, func(e handlers.End) bool {
			return !e.NotAfter.Before(r.Now().Add(time.Duration(days) * 24 * time.Hour))
		})
	}
	slices.SortFunc(all, func(a, b handlers.End) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

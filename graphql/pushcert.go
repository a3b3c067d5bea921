package graphql

import (
	"context"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

func (t *types) makePushCertificates() {
	t.pushCertificate = t.object("PushCertificate", "The newest push certificate of a topic.", t.pushCertificateFields)
	t.pushCertificateRequest = t.object("PushCertificateRequest", "A key that was made here, and the request to certify it (PKCS #10). The key never leaves the server.", t.pushCertificateRequestFields)
}

func (t *types) pushCertificateQueries() graphql.Fields {
	return graphql.Fields{
		"pushCertificates": root("", many(t.pushCertificate), nil, func(ctx context.Context, r *run, _ args) (any, error) {
			return r.Views.PushCertificates(ctx)
		}),
		"pushCertificateRequests": root("The newest first.", many(t.pushCertificateRequest), nil, func(ctx context.Context, r *run, _ args) (any, error) {
			return r.Views.PushCertificateRequests(ctx)
		}),
	}
}

func (t *types) pushCertificateMutations() graphql.Fields {
	return graphql.Fields{
		"requestPushCertificate": root("Makes a key and a request for a push certificate, which an MDM vendor signs for Apple's portal. Administrators only.", must(t.pushCertificateRequest), graphql.FieldConfigArgument{
			"commonName": arg("In whose name, such as the organisation's.", must(graphql.String)),
			"email":      arg("", graphql.String),
			"country":    arg("Two capital letters.", graphql.String),
			"topic":      arg("That of the certificate that is to be renewed; none for the first.", graphql.String),
		}, func(ctx context.Context, r *run, a args) (any, error) {
			made, err := r.PushCerts.Ask(ctx, r.caller, pushcert.Applicant{
				CommonName: a.text("commonName"), Email: a.text("email"), Country: a.text("country"),
			}, a.text("topic"))
			if err != nil {
				return nil, err
			}
			return projections.PushCertificateRequest{ID: made.ID, Topic: made.Topic, CommonName: made.Applicant.CommonName, MadeAt: made.Made, MadeBy: r.caller.Actor()}, nil
		}),
		"importPushCertificate": root("Stores a push certificate: with its key, or alone if its request was made here. Pushes use it from now on.", must(t.pushCertificate), graphql.FieldConfigArgument{
			"pem":   arg("The certificate that Apple gave, and its key unless it was made here.", must(graphql.String)),
			"force": &graphql.ArgumentConfig{Type: graphql.Boolean, DefaultValue: false, Description: "Take one for a new topic while there are others, whose devices it cannot reach."},
		}, func(ctx context.Context, r *run, a args) (any, error) {
			force, _ := a["force"].(bool)
			stored, change, err := r.PushCerts.Import(ctx, r.caller, []byte(a.text("pem")), force)
			if err != nil {
				return nil, err
			}
			if err := r.Views.Wait(ctx, change.Position); err != nil {
				return nil, err
			}
			list, err := r.Views.PushCertificates(ctx)
			for _, c := range list {
				if c.Topic == stored.Topic {
					return c, nil
				}
			}
			return projections.PushCertificate{Topic: stored.Topic, Fingerprint: stored.Fingerprint, NotAfter: stored.NotAfter}, err
		}),
	}
}

func (t *types) pushCertificateFields() graphql.Fields {
	type certificate = projections.PushCertificate
	return graphql.Fields{
		"topic":       get("", must(graphql.ID), func(c certificate) any { return c.Topic }),
		"fingerprint": get("SHA-256 of the DER, hex.", must(graphql.String), func(c certificate) any { return c.Fingerprint }),
		"notBefore":   get("", timeScalar, func(c certificate) any { return c.NotBefore }),
		"notAfter":    get("When it expires: pushes end then.", timeScalar, func(c certificate) any { return c.NotAfter }),
		"storedAt":    get("", timeScalar, func(c certificate) any { return c.StoredAt }),
		"storedBy":    get("", must(graphql.String), func(c certificate) any { return actorName(c.StoredBy) }),
		"renewals":    get("", must(graphql.Int), func(c certificate) any { return c.Renewals }),
		"devices":     get("Enrolled with this topic.", must(graphql.Int), func(c certificate) any { return c.Devices }),
		"expired": ask("", must(graphql.Boolean), func(_ context.Context, r *run, c certificate) (any, error) {
			return !r.Now().Before(c.NotAfter), nil
		}),
		"daysLeft": ask("Whole days until it expires; below zero if it has.", must(graphql.Int), func(_ context.Context, r *run, c certificate) (any, error) {
			return daysUntil(r.Now(), c.NotAfter), nil
		}),
		"warning": ask("What is to be done, if it ends soon (60 days) or has ended.", graphql.String, func(_ context.Context, r *run, c certificate) (any, error) {
			if _, due := pushcert.Due(c.NotAfter, r.Now()); !due {
				return nil, nil
			}
			return handlers.Advice(handlers.EndsPush), nil
		}),
	}
}

// daysUntil counts the whole days that are left, or that have begun since.
func daysUntil(now, end time.Time) int {
	left := end.Sub(now)
	if left < 0 {
		return -int((-left + 24*time.Hour - 1) / (24 * time.Hour))
	}
	return int(left / (24 * time.Hour))
}

func (t *types) pushCertificateRequestFields() graphql.Fields {
	type request = projections.PushCertificateRequest
	return graphql.Fields{
		"id":         get("SHA-256 of the public key, hex.", must(graphql.ID), func(q request) any { return q.ID }),
		"topic":      get("That is to be renewed; null for a new one.", graphql.String, func(q request) any { return orNull(q.Topic) }),
		"commonName": get("", must(graphql.String), func(q request) any { return q.CommonName }),
		"madeAt":     get("", timeScalar, func(q request) any { return q.MadeAt }),
		"madeBy":     get("", must(graphql.String), func(q request) any { return actorName(q.MadeBy) }),
		"answeredAt": get("When its certificate was stored.", timeScalar, func(q request) any { return q.AnsweredAt }),
		"csr": ask("PEM, for rollcall pushcert sign or a vendor's service.", must(graphql.String), func(ctx context.Context, r *run, q request) (any, error) {
			made, _, err := r.PushCerts.Requests.Load(ctx, q.ID)
			return string(made.CSR), err
		}),
	}
}

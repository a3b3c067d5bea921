package graphql

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/escrow"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

func (t *types) makeEscrow() {
	t.escrow = t.object("FileVaultEscrow", "The certificate that Macs encrypt their FileVault recovery keys for. The server keeps its key.", func() graphql.Fields {
		return graphql.Fields{
			"certificate": get("DER, base64.", must(graphql.String), func(p escrow.Pair) any { return base64.StdEncoding.EncodeToString(p.Certificate) }),
			"fingerprint": get("SHA-256 of the DER, hex.", must(graphql.String), func(p escrow.Pair) any { return p.Fingerprint }),
			"serialNumber": get("Hex: the fact security.FDE_RecoveryKeyRecipient of a Mac whose recovery key this server can open.", must(graphql.String), func(p escrow.Pair) any {
				certificate, err := x509.ParseCertificate(p.Certificate)
				if err != nil {
					return ""
				}
				return hex.EncodeToString(certificate.SerialNumber.Bytes())
			}),
			"since":    get("", timeScalar, func(p escrow.Pair) any { return p.Since }),
			"notAfter": get("", timeScalar, func(p escrow.Pair) any { return p.NotAfter }),
			"profile": field("A configuration profile with FDERecoveryKeyEscrow, for installProfile.", must(graphql.String), graphql.FieldConfigArgument{
				"location": &graphql.ArgumentConfig{Type: graphql.String, DefaultValue: "your administrator", Description: "Shown to the user: where the key is kept."},
			}, func(_ context.Context, _ *run, p escrow.Pair, a args) (any, error) {
				return handlers.EscrowProfile(p, a.text("location"))
			}),
		}
	})
}

func (t *types) escrowQueries() graphql.Fields {
	return graphql.Fields{
		"fileVaultEscrow": root("What Macs are given to encrypt their recovery keys for; null until makeFileVaultEscrow.", t.escrow, nil, func(ctx context.Context, r *run, _ args) (any, error) {
			pair, made, err := r.Secrets.Escrow.Newest(ctx)
			if err != nil || !made {
				return nil, err
			}
			return pair, nil
		}),
	}
}

func (t *types) escrowMutations() graphql.Fields {
	return graphql.Fields{
		"makeFileVaultEscrow": root("Makes a key pair for FileVault recovery keys; the older ones are kept. Administrators only.", must(t.escrow), graphql.FieldConfigArgument{
			"reason": arg("Why there is to be another one.", graphql.String),
		}, func(ctx context.Context, r *run, a args) (any, error) {
			return r.Secrets.Escrow.Make(ctx, r.caller, a.text("reason"))
		}),
		"rotateRecoveryKey": root("Orders that a Mac makes itself a new FileVault recovery key. The server tells it the one that it knows.", must(t.command), graphql.FieldConfigArgument{
			"device": arg("UDID, EnrollmentID or serial number.", must(graphql.ID)), "reason": arg("Why, for those who read the log.", graphql.String),
		}, ordering(func(ctx context.Context, r *run, a args, id string) (string, eventstore.Position, error) {
			return r.Secrets.RotateRecoveryKey(ctx, r.caller, id, a.text("reason"))
		})),
	}
}

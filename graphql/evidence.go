package graphql

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/evidence"
)

// kept is the evidence of an event.
type kept struct {
	evidence.Message
	withheld bool // the message holds what the event has sealed as a secret
}

func evidenceOf(_ context.Context, r *run, rec *record) (any, error) {
	if len(rec.env.Evidence) == 0 {
		return nil, nil
	}
	plain, err := r.Evidence.Evidence(rec.env)
	if err != nil {
		return nil, fmt.Errorf("open the evidence of event %d: %w", rec.env.Position, err)
	}
	if plain == nil {
		return nil, nil
	}
	return kept{evidence.Parse(plain), len(rec.env.Secret) > 0}, nil
}

func evidenceFields() graphql.Fields {
	return graphql.Fields{
		"sha256": get("Of the body as it is kept, hex.", must(graphql.String), func(k kept) any {
			sum := sha256.Sum256(k.Body)
			return hex.EncodeToString(sum[:])
		}),
		"bytes": get("Of the body that are kept.", must(graphql.Int), func(k kept) any { return len(k.Body) }),
		"whole": get("Whether they are all that was sent.", must(graphql.Boolean), func(k kept) any { return k.Whole() }),
		"blanked": get("Keys whose values were taken out of the body, because they must not be kept; its signature, which hangs on them, is not kept either.",
			many(graphql.String), func(k kept) any { return append([]string{}, k.Blanked...) }),
		"signed": get("Whether a detached signature is kept with them.", must(graphql.Boolean), func(k kept) any { return k.Signature != "" }),
		"shown": get("How the sender showed who it is: mtls, header, signature. Empty where that was not kept.", many(graphql.String), func(k kept) any {
			return append([]string{}, k.Shown...)
		}),
		"withheld": get("Whether the message holds a secret: its body is not shown here then, to nobody.", must(graphql.Boolean),
			func(k kept) any { return k.withheld }),
		"body": get("Base64; auditors only. Null if it is withheld.", graphql.String, func(k kept) any {
			if k.withheld {
				return nil
			}
			return base64.StdEncoding.EncodeToString(k.Body)
		}),
		"signature": get("The Mdm-Signature header as it came; auditors only.", graphql.String, func(k kept) any { return orNull(k.Signature) }),
		"certificate": get("The certificate that the sender showed, PEM; auditors only.", graphql.String, func(k kept) any {
			if len(k.Certificate) == 0 {
				return nil
			}
			return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate}))
		}),
	}
}

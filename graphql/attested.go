package graphql

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// Attestations judge chains of certificates by which Apple attests. *handlers.Attestations does.
type Attestations interface {
	Judge(chain [][]byte, now time.Time) (handlers.Attested, error)
}

// attestedFact is the fact that holds what a device answered when it was asked to attest itself.
const attestedFact = "device.DevicePropertiesAttestation"

// A deviceAttestation is such an answer, judged.
type deviceAttestation struct {
	since   time.Time
	told    handlers.Attested
	says    *domain.Attestation // nil if it is not believed
	own     any                 // whether it is about this device; nil if that cannot be told
	problem string
}

func (t *types) makeDeviceAttestation() {
	t.deviceAttestation = t.object("DeviceAttestation", "What a device answered to DevicePropertiesAttestation, judged by the roots that are believed here now, as of the moment at which it told it.", func() graphql.Fields {
		return graphql.Fields{
			"since":        get("When it was told first.", must(timeScalar), func(d deviceAttestation) any { return d.since }),
			"says":         get("Null if it is not believed.", t.attestation, func(d deviceAttestation) any { return orNone(d.says) }),
			"serialNumber": get("That Apple attests.", graphql.String, func(d deviceAttestation) any { return orNull(d.told.SerialNumber) }),
			"udid":         get("That Apple attests; a Mac's is its ProvisioningUDID.", graphql.String, func(d deviceAttestation) any { return orNull(d.told.UDID) }),
			"own": get("The serial number is the one that the device tells otherwise: false is a device that answers with another's attestation. Null if one of them is not known.", graphql.Boolean,
				func(d deviceAttestation) any { return d.own }),
			"freshness": get("Hex. If it is the DeviceAttestationNonce of an order, the attestation was made for that order; a device makes a new one at most each seven days.", graphql.String,
				func(d deviceAttestation) any { return orNull(hex.EncodeToString(d.told.Freshness())) }),
			"problem": get("Why it is not believed, in words.", graphql.String, func(d deviceAttestation) any { return orNull(d.problem) }),
		}
	})
}

// attestationOf reads what a device answered when it was asked to attest itself; nil if it was not, or tells nothing.
func attestationOf(ctx context.Context, r *run, s seen) (any, error) {
	fact, known, err := r.Views.Fact(ctx, s.ID, attestedFact, s.when.at)
	if err != nil || !known || r.Attestations == nil {
		return nil, err
	}
	a := deviceAttestation{since: fact.Since}
	var chain [][]byte
	if json.Unmarshal(fact.Value, &chain) != nil {
		a.problem = "it cannot be read"
		return a, nil
	}
	told, err := r.Attestations.Judge(chain, fact.Since)
	if refusal, refused := domain.Refused(err); refused {
		a.problem = refusal.Text
		return a, nil
	}
	a.told, a.says = told, &told.Attestation
	if told.SerialNumber != "" && s.SerialNumber != "" {
		a.own = told.SerialNumber == s.SerialNumber
	}
	return a, err
}

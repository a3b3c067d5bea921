package graphql

import (
	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
)

func (t *types) makeAttestation() {
	text := func(about string, f func(domain.Attestation) string) *graphql.Field {
		return get(about, graphql.String, func(a domain.Attestation) any { return orNull(f(a)) })
	}
	t.attestation = t.object("Attestation", "What the maker of a device vouches for: that a key was made in its hardware, and what it is. Null is what was not determined.", func() graphql.Fields {
		return graphql.Fields{
			"vouched":          get("A root that is believed here vouches for it; if false, all of it is hearsay.", must(graphql.Boolean), func(a domain.Attestation) any { return a.Vouched() }),
			"root":             text("Fingerprint of the root that vouches.", func(a domain.Attestation) string { return a.Root }),
			"namesSerial":      get("It names a serial number: a device that tells another cannot use the certificate. The timeline of the device that did has it.", must(graphql.Boolean), func(a domain.Attestation) any { return a.SerialMark != "" }),
			"namesUDID":        get("It names a UDID, a Mac's ProvisioningUDID.", must(graphql.Boolean), func(a domain.Attestation) any { return a.UDIDMark != "" }),
			"osVersion":        text("", func(a domain.Attestation) string { return a.OSVersion }),
			"sepOSVersion":     text("Of the Secure Enclave's system.", func(a domain.Attestation) string { return a.SepOSVersion }),
			"llbVersion":       text("Of the boot loader.", func(a domain.Attestation) string { return a.LLBVersion }),
			"softwareUpdateID": text("By which the device asks for updates.", func(a domain.Attestation) string { return a.SoftwareUpdateID }),
			"sip":              text("A Mac's System Integrity Protection: 0 is on.", func(a domain.Attestation) string { return a.SIP }),
			"secureBoot":       text("A Mac's.", func(a domain.Attestation) string { return a.SecureBoot }),
			"thirdPartyKexts":  text("Whether a Mac may load others' kernel extensions: 0 is no.", func(a domain.Attestation) string { return a.ThirdPartyKexts }),
		}
	})
}

// orNone is what is vouched for, null if nothing is.
func orNone(a *domain.Attestation) any {
	if a == nil {
		return nil
	}
	return *a
}

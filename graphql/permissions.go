package graphql

import (
	"context"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A permission refuses those callers who may not ask for a field.
type permission func(handlers.Caller) error

// The permissions: whoever has a token reads; some fields are for some roles.
func read(handlers.Caller) error         { return nil }
func audit(c handlers.Caller) error      { return c.Audit() }
func change(c handlers.Caller) error     { return c.Change() }
func administer(c handlers.Caller) error { return c.Administer() }

// permissions says who may ask for what. Every field of Query and Mutation has a line; a type's line stands for
// all its fields that have none of their own. A test fails when something is in no line: nothing is open by mistake.
var permissions = map[string]permission{
	"Query.me":               read,
	"Query.device":           read,
	"Query.devices":          read,
	"Query.fleet":            read,
	"Query.fleetHistory":     read,
	"Query.command":          read,
	"Query.commands":         read,
	"Query.commandTypes":     read,
	"Query.events":           read,
	"Query.event":            read,
	"Query.log":              read,
	"Query.views":            read,
	"Query.pushCertificates": read,
	"Query.bulkOrders":       read,
	"Query.bulkOrder":        read,
	"Query.groups":           read,
	"Query.group":            read,
	"Query.declarations":     read,
	"Query.declaration":      read,
	"Query.wanted":           read,
	"Query.wantedThing":      read,
	"Query.tokens":           administer,
	"Query.masterKey":        administer,

	"Mutation.sendCommand":         change,
	"Mutation.sendRawCommand":      administer,
	"Mutation.cancelCommand":       change,
	"Mutation.clearQueue":          change,
	"Mutation.cancelBulkOrder":     change,
	"Mutation.holdQueue":           administer,
	"Mutation.releaseQueue":        administer,
	"Mutation.holdCommand":         administer,
	"Mutation.releaseCommand":      administer,
	"Mutation.wake":                change,
	"Mutation.createGroup":         change,
	"Mutation.changeGroup":         change,
	"Mutation.addToGroup":          change,
	"Mutation.removeFromGroup":     change,
	"Mutation.deleteGroup":         change,
	"Mutation.putDeclaration":      change,
	"Mutation.putDeclarationData":  change,
	"Mutation.assignDeclaration":   change,
	"Mutation.unassignDeclaration": change,
	"Mutation.withdrawDeclaration": change,
	"Mutation.putWantedProfile":    change,
	"Mutation.putWantedApp":        change,
	"Mutation.putInventory":        change,
	"Mutation.assignWanted":        change,
	"Mutation.unassignWanted":      change,
	"Mutation.withdrawWanted":      change,
	"Mutation.retryWanted":         change,
	"Mutation.createToken":         administer,
	"Mutation.revokeToken":         administer,
	"Mutation.revealSecret":        change,
	"Mutation.eraseSubject":        administer,
	"Mutation.rotateMasterKey":     administer,
	"Mutation.disclose":            audit,

	"Mutation.rebuildViews": administer,

	"Query.invitations":             read,
	"Query.invitation":              read,
	"Query.identityCertificates":    read,
	"Query.identityCertificate":     read,
	"Query.roots":                   read,
	"Query.revocationList":          read,
	"Query.certificateEnds":         read,
	"CertificateEnd":                read,
	"Mutation.invite":               change,
	"Mutation.withdrawInvitation":   change,
	"Mutation.revokeCertificate":    administer,
	"Mutation.rollOverRoot":         administer,
	"Mutation.importRoot":           administer,
	"Mutation.retireRoot":           administer,
	"Invitation":                    read,
	"InvitationConnection":          read,
	"InvitationEdge":                read,
	"Attestation":                   read,
	"DeviceAttestation":             read,
	"IdentityCertificate":           read,
	"IdentityCertificateConnection": read,
	"IdentityCertificateEdge":       read,
	"Root":                          read,

	"Mutation.rotateRecoveryLock":     change,
	"Mutation.clearRecoveryLock":      change,
	"Mutation.checkRecoveryLock":      change,
	"Mutation.rotateFirmwarePassword": change,
	"Mutation.clearFirmwarePassword":  change,
	"Mutation.checkFirmwarePassword":  change,
	"Mutation.lockMac":                change,
	"Mutation.rotateRecoveryKey":      change,
	"Mutation.makeFileVaultEscrow":    administer,
	"Mutation.requestPushCertificate": administer,
	"Mutation.unenrol":                administer,
	"Mutation.stayEnrolled":           administer,
	"Mutation.quarantine":             administer,
	"Mutation.liftQuarantine":         administer,
	"Query.enrolmentLink":             change,
	"Query.enrolmentCode":             change,
	"Mutation.inviteByMail":           change,
	"Mutation.mailInvitation":         change,
	"MailedInvitation":                read,
	"Mutation.importPushCertificate":  change,
	"Query.pushCertificateRequests":   read,
	"PushCertificateRequest":          read,
	"Query.fileVaultEscrow":           read,
	"Query.osUpdates":                 read,
	"OSUpdate":                        read,
	"OSUpdateStep":                    read,
	"FleetUpdate":                     read,
	"FileVaultEscrow":                 read,

	"Device":                       read,
	"DeviceConnection":             read,
	"DeviceEdge":                   read,
	"UserChannel":                  read,
	"Fact":                         read,
	"FactSpan":                     read,
	"FactSpanConnection":           read,
	"FactSpanEdge":                 read,
	"FactChange":                   read,
	"Application":                  read,
	"ApplicationConnection":        read,
	"ApplicationEdge":              read,
	"InstalledProfile":             read,
	"InstalledCertificate":         read,
	"Fleet":                        read,
	"Count":                        read,
	"Command":                      read,
	"CommandConnection":            read,
	"CommandEdge":                  read,
	"Attempt":                      read,
	"Hold":                         read,
	"CommandType":                  read,
	"CommandParameter":             read,
	"CommandSupport":               read,
	"Event":                        read,
	"EventConnection":              read,
	"EventEdge":                    read,
	"Evidence":                     read,
	"Evidence.body":                audit,
	"Evidence.signature":           audit,
	"Evidence.certificate":         audit,
	"Actor":                        read,
	"Actor.address":                audit,
	"Operator":                     read,
	"Log":                          read,
	"View":                         read,
	"ParkedStream":                 read,
	"PushCertificate":              read,
	"PageInfo":                     read,
	"Group":                        read,
	"GroupConnection":              read,
	"GroupEdge":                    read,
	"Declaration":                  read,
	"DeclarationAssignment":        read,
	"DeclarationConnection":        read,
	"DeclarationEdge":              read,
	"DeviceDeclaration":            read,
	"UnsuitableDevices":            read,
	"OSUpdateEnforcement":          read,
	"EnforcedOSUpdate":             read,
	"Query.osUpdateEnforcements":   read,
	"Mutation.enforceOSUpdate":     change,
	"Mutation.withdrawOSUpdate":    change,
	"Mutation.putOSUpdateSettings": change,
	"WantedThing":                  read,
	"WantedThingConnection":        read,
	"WantedThingEdge":              read,
	"WantedAssignment":             read,
	"DeviceWanted":                 read,
	"ManagedThing":                 read,
	"ManagedSpan":                  read,
	"RegroupPayload":               change,
	"Token":                        administer,
	"Secret":                       read,
	"MasterKey":                    administer,
	"Disclosure":                   audit,
	"CreatedToken":                 administer,
	"SendCommandPayload":           change,
	"RefusedTarget":                read,
	"WakeResult":                   change,

	"Query.profiles":                   read,
	"Query.profile":                    read,
	"Query.checkProfile":               read,
	"Mutation.putProfile":              administer,
	"Mutation.withdrawProfile":         administer,
	"Mutation.installLibraryProfile":   change,
	"Mutation.putWantedLibraryProfile": change,
	"Profile":                          read,
	"ProfileConnection":                read,
	"ProfileEdge":                      read,
	"ProfileVersion":                   read,
	"ProfileFinding":                   read,

	"BulkOrder":               read,
	"BulkOrderConnection":     read,
	"BulkOrderEdge":           read,
	"BulkProgress":            read,
	"RefusedTargetConnection": read,
	"RefusedTargetEdge":       read,
}

// permissionOf returns the permission for a field; declared is false if nobody said. The typed mutations, one for
// each of Apple's commands, ask for what sendCommand asks for.
func permissionOf(typeName, fieldName string) (p permission, declared bool) {
	if p, declared = permissions[typeName+"."+fieldName]; declared {
		return p, true
	}
	if _, typed := typedMutations()[fieldName]; typeName == "Mutation" && typed {
		return change, true
	}
	p, declared = permissions[typeName]
	return p, declared
}

// permitted puts the permission before each field's resolver. What is not declared is open to administrators.
func permitted(typeName string, fields graphql.Fields) graphql.Fields {
	for name, f := range fields {
		check, declared := permissionOf(typeName, name)
		if !declared {
			check = administer
		}
		resolve := f.Resolve
		f.Resolve = func(p graphql.ResolveParams) (any, error) {
			if err := check(runOf(p.Context).caller); err != nil {
				return nil, err
			}
			return resolve(p)
		}
	}
	return fields
}

func roles() []operator.Role { return operator.Roles() }

// operatorFields is who is asking.
func (t *types) operatorFields() graphql.Fields {
	return graphql.Fields{
		"id":      get("Of the API token.", must(graphql.ID), func(c handlers.Caller) any { return c.ID }),
		"name":    get("", must(graphql.String), func(c handlers.Caller) any { return c.Name }),
		"role":    get("", must(t.role), func(c handlers.Caller) any { return string(c.Role) }),
		"address": get("From which this request came.", graphql.String, func(c handlers.Caller) any { return orNull(c.Address) }),
		"mayChange": get("Whether mutations are open.", must(graphql.Boolean),
			func(c handlers.Caller) any { return c.Role.MayChange() }),
		"mayAudit": get("Whether evidence is open.", must(graphql.Boolean),
			func(c handlers.Caller) any { return c.Role.MayAudit() }),
	}
}

func (t *types) me(_ context.Context, r *run, _ args) (any, error) { return r.caller, nil }

// orNull makes null of an empty text.
func orNull[T ~string](s T) any {
	if s == "" {
		return nil
	}
	return string(s)
}

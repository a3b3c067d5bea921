package graphql

import (
	"strings"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// types are the schema's types while it is made: they speak of each other.
type types struct {
	all map[string]*graphql.Object

	status, state, platform, actorKind, factOp, deviceKey, direction, role *graphql.Enum
	secretKind, part                                                       *graphql.Enum
	deviceFilter, factFilter, commandFilter, eventFilter, deviceOrder      *graphql.InputObject

	pageInfo, operator, actor                                              *graphql.Object
	device, user, fact, span, change, application, profile, identity       *graphql.Object
	command, attempt, event, evidence, fleet, count, commandType           *graphql.Object
	log, view, parked, pushCertificate, pushCertificateRequest, token      *graphql.Object
	devices, spans, applications, commands, events                         *graphql.Object
	sent, refused, woken, created                                          *graphql.Object
	hold                                                                   *graphql.Object
	bulk, bulks, progress, refusals                                        *graphql.Object
	secret, masterKey, disclosure, escrow, update, updateStep, fleetUpdate *graphql.Object
	parameter, support                                                     *graphql.Object
	group, groups, regrouped                                               *graphql.Object
	assignment, declaration, declarations, deviceDeclaration, unsuitable   *graphql.Object
	enforcement, enforced                                                  *graphql.Object
	enforcementState                                                       *graphql.Enum

	thingKind, thingState, standingState                     *graphql.Enum
	wanted, wantedThings, wantedAssignment, standing         *graphql.Object
	libraryProfile, libraryProfiles, profileVersion, finding *graphql.Object
	managed, managedSpan                                     *graphql.Object

	road, revocation, endKind                 *graphql.Enum
	invitation, invitations, mailed, root     *graphql.Object
	certificateEnd                            *graphql.Object
	attestation, deviceAttestation            *graphql.Object
	identityCertificate, identityCertificates *graphql.Object
}

// object makes an object type. Its fields are made later, when all types are there.
func (t *types) object(name, about string, fields func() graphql.Fields) *graphql.Object {
	o := graphql.NewObject(graphql.ObjectConfig{Name: name, Description: about, Fields: graphql.FieldsThunk(func() graphql.Fields {
		return permitted(name, fields())
	})})
	t.all[name] = o
	return o
}

func newSchema() (graphql.Schema, error) {
	t := &types{all: map[string]*graphql.Object{}}
	t.makeEnums()
	t.makeInputs()
	t.pageInfo = t.object("PageInfo", "Where a page stands in its list.", pageInfoFields)
	t.makeServer()
	t.makeDevice()
	t.makeCommand()
	t.makeHold()
	t.makeEvent()
	t.makePayloads()
	t.makeGroup()
	t.makeBulk()
	t.makeDeclaration()
	t.makeManaged()
	t.makeWanted()
	t.makeProfile()
	t.makeCustody()
	t.makeEscrow()
	t.makePushCertificates()
	t.makeInvitation()
	t.makeAttestation()
	t.makeDeviceAttestation()
	t.makeIdentity()
	t.makeEnds()
	return graphql.NewSchema(graphql.SchemaConfig{
		Query:    t.object("Query", "What is, and what was.", t.queries),
		Mutation: t.object("Mutation", "What is to be done. Only operators and administrators may.", t.mutations),
	})
}

// queries are the roots of all questions.
func (t *types) queries() graphql.Fields {
	all := graphql.Fields{}
	for _, some := range []graphql.Fields{t.deviceQueries(), t.commandQueries(), t.bulkQueries(), t.eventQueries(), t.serverQueries(), t.groupQueries(), t.declarationQueries(), t.wantedQueries(), t.profileQueries(), t.custodyQueries(), t.escrowQueries(), t.pushCertificateQueries(), t.invitationQueries(), t.identityQueries(), t.endQueries(), t.roadQueries()} {
		for name, f := range some {
			all[name] = f
		}
	}
	return all
}

// enum makes an enum type whose values are the upper-case names of what stands for them in Go.
func enum[T ~string](name, about string, values ...T) *graphql.Enum {
	all := graphql.EnumValueConfigMap{}
	for _, v := range values {
		all[strings.ToUpper(string(v))] = &graphql.EnumValueConfig{Value: string(v)}
	}
	return graphql.NewEnum(graphql.EnumConfig{Name: name, Description: about, Values: all})
}

func (t *types) makeEnums() {
	t.status = enum("DeviceStatus", "Where an enrolment stands.", device.StatusAuthenticated, device.StatusEnrolled,
		device.StatusCheckedOut, device.StatusPresumedUnmanaged)
	t.state = enum("CommandState", "How far a command has come. The first three wait.", projections.Queued,
		projections.Delivered, projections.Deferred, projections.Acknowledged, projections.Failed,
		projections.FormatRejected, projections.Cancelled, projections.Superseded, projections.Expired)
	t.platform = enum("Platform", "An operating system of Apple's.", projections.IOS, projections.IPadOS,
		projections.MacOS, projections.TVOS, projections.WatchOS, projections.VisionOS)
	t.actorKind = enum("ActorKind", "What sort of actor caused an event.", eventstore.ByDevice, eventstore.ByOperator,
		eventstore.ByToken, eventstore.ByWorker, eventstore.ByApple)
	t.factOp = enum("FactOp", "Compares a fact with a value: numbers as numbers, versions part by part. All but MISSING hold only where the fact is known.",
		projections.EQ, projections.NE, projections.LT, projections.LE, projections.GT, projections.GE,
		projections.Contains, projections.Exists, projections.Missing)
	t.deviceKey = enum("DeviceOrderField", "What devices are sorted by.", projections.ByAppearance, projections.ByName,
		projections.BySerial, projections.ByOSVersion, projections.ByEnrolled, projections.ByLastSeen)
	t.direction = enum("OrderDirection", "", "ASC", "DESC")
	t.role = enum("Role", "What a token's holder may do.", roles()...)
}

func (t *types) makeInputs() {
	t.factFilter = graphql.NewInputObject(graphql.InputObjectConfig{
		Name: "FactFilter", Description: `A predicate over one fact, e.g. {key: "security.FDE_Enabled", op: EQ, value: false}.`,
		Fields: graphql.InputObjectConfigFieldMap{
			"key":   input("", must(graphql.String)),
			"op":    input("", must(t.factOp)),
			"value": input("Not for EXISTS and MISSING.", jsonScalar),
		},
	})
	t.deviceFilter = graphql.NewInputObject(graphql.InputObjectConfig{
		Name: "DeviceFilter", Description: "Chooses devices. Each field narrows the choice; within a list any will do.",
		Fields: graphql.InputObjectConfigFieldMap{
			"search":      input("Part of a name, serial number, UDID, EnrollmentID or model.", graphql.String),
			"status":      input("", graphql.NewList(must(t.status))),
			"platform":    input("", graphql.NewList(must(t.platform))),
			"osVersion":   input("As far as it goes: 17 chooses 17.2.1.", graphql.String),
			"supervised":  input("False chooses those that are known not to be.", graphql.Boolean),
			"seenBefore":  input("", timeScalar),
			"seenAfter":   input("", timeScalar),
			"fact":        input("All of them must hold.", graphql.NewList(must(t.factFilter))),
			"group":       input("Those that belonged to this group at the moment in question.", graphql.ID),
			"application": input("Bundle identifier of an installed app, or identifier@version.", graphql.String),
		},
	})
	t.deviceOrder = graphql.NewInputObject(graphql.InputObjectConfig{
		Name: "DeviceOrder", Description: "How devices are sorted.",
		Fields: graphql.InputObjectConfigFieldMap{
			"field":     input("", must(t.deviceKey)),
			"direction": &graphql.InputObjectFieldConfig{Type: t.direction, DefaultValue: "ASC"},
		},
	})
	t.commandFilter = graphql.NewInputObject(graphql.InputObjectConfig{
		Name: "CommandFilter", Description: "Chooses commands. Each field narrows the choice; within a list any will do.",
		Fields: graphql.InputObjectConfigFieldMap{
			"states":       input("", graphql.NewList(must(t.state))),
			"requestTypes": input("", graphql.NewList(must(graphql.String))),
			"device":       input("UDID, EnrollmentID or serial number.", graphql.ID),
			"actor":        input("Id or name of who ordered it.", graphql.ID),
			"from":         input("Ordered at this moment or later.", timeScalar),
			"to":           input("Ordered at this moment or before.", timeScalar),
		},
	})
	t.eventFilter = graphql.NewInputObject(graphql.InputObjectConfig{
		Name: "EventFilter", Description: "Chooses events. Each field narrows the choice; within a list any will do.",
		Fields: graphql.InputObjectConfigFieldMap{
			"device":    input("UDID, EnrollmentID or serial number.", graphql.ID),
			"types":     input("Stored names, e.g. device.command-queued.", graphql.NewList(must(graphql.String))),
			"actor":     input("Id or name of who caused it.", graphql.ID),
			"actorKind": input("", t.actorKind),
			"from":      input("", timeScalar),
			"to":        input("", timeScalar),
			"command":   input("CommandUUID.", graphql.ID),
			"search":    input("Part of a type, a command's UUID, an actor's name, a device's name or serial number.", graphql.String),
		},
	})
}

// platforms tells Apple's spelling of a platform, as the catalogue has it, from ours.
var platforms = map[projections.Platform]command.Platform{
	projections.IOS: command.IOS, projections.IPadOS: command.IOS, projections.MacOS: command.MacOS,
	projections.TVOS: command.TVOS, projections.WatchOS: command.WatchOS, projections.VisionOS: command.VisionOS,
}

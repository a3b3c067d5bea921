package graphql

import (
	"context"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// maxTargets is the most devices that one mutation can speak of.
const maxTargets = 1000

func (t *types) mutations() graphql.Fields {
	all := graphql.Fields{
		"sendCommand": root("Orders one of Apple's commands for many devices. Each takes it or refuses it for itself.", must(t.sent), graphql.FieldConfigArgument{
			"input": arg("", must(sendInput())),
		}, sendCommand),
		"sendRawCommand": root("Orders a command as a property list, which is delivered as it stands; administrators only.", must(t.sent), graphql.FieldConfigArgument{
			"input": arg("", must(rawInput())),
		}, sendRawCommand),
		"cancelCommand": root("Takes a waiting command back.", must(t.command), graphql.FieldConfigArgument{
			"uuid": arg("", must(graphql.ID)), "reason": arg("", must(graphql.String)),
		}, cancelCommand),
		"clearQueue": root("Takes back all that waits for a device and its users.", many(t.command), graphql.FieldConfigArgument{
			"device": arg("", must(graphql.ID)), "reason": arg("", must(graphql.String)),
		}, clearQueue),
		"wake": root("Sends devices a push, so that they call.", many(t.woken), graphql.FieldConfigArgument{
			"devices": arg("At most 1000.", must(graphql.NewList(must(graphql.ID)))),
		}, wake),
		"createToken": root("Makes an API token; administrators only.", must(t.created), graphql.FieldConfigArgument{
			"name":      arg("Who or what will use it.", must(graphql.String)),
			"role":      arg("", must(t.role)),
			"expiresAt": arg("Never if absent.", timeScalar),
		}, createToken),
		"revokeToken": root("Takes an API token back; administrators only.", must(t.token), graphql.FieldConfigArgument{
			"id": arg("", must(graphql.ID)), "reason": arg("", must(graphql.String)),
		}, revokeToken),
	}
	for _, some := range []graphql.Fields{t.holdMutations(), t.bulkMutations(), t.groupMutations(), t.declarationMutations(), t.wantedMutations(), t.profileMutations(), t.custodyMutations(), t.passwordMutations(), t.escrowMutations(), t.pushCertificateMutations(), t.invitationMutations(), t.identityMutations(), t.leaveMutations(), t.typed()} {
		for name, f := range some {
			all[name] = f
		}
	}
	all["rebuildViews"] = t.rebuildViews()
	return all
}

// waiting are the rules of a command's waiting, the same for every mutation that orders one.
func waiting() graphql.InputObjectConfigFieldMap {
	return graphql.InputObjectConfigFieldMap{
		"userId":         input("A user of the device, instead of the device itself.", graphql.String),
		"priority":       &graphql.InputObjectFieldConfig{Type: graphql.Int, DefaultValue: 0, Description: "Higher goes first."},
		"notBefore":      input("Not offered before.", timeScalar),
		"expiresAt":      input("Ends if nobody has fetched it by then.", timeScalar),
		"supersedeKey":   input("Takes the place of a waiting command with the same key.", graphql.String),
		"idempotencyKey": input("The same key again orders nothing new.", graphql.String),
		"reason":         input("Why, for those who read the log.", graphql.String),
		"passesHold":     input("Delivered even while the device's queue is held; administrators only.", graphql.Boolean),
		"push":           &graphql.InputObjectFieldConfig{Type: graphql.Boolean, DefaultValue: true, Description: "Whether to wake the device."},
	}
}

func sendInput() *graphql.InputObject {
	fields := waiting()
	fields["requestType"] = input("As Apple spells it; commandTypes lists them.", must(graphql.String))
	fields["parameters"] = input("The command's keys as Apple spells them; data as base64, dates as RFC 3339.", jsonScalar)
	fields["devices"] = input("UDIDs, EnrollmentIDs or serial numbers; at most 1000.", graphql.NewList(must(graphql.ID)))
	fields["group"] = input("A group, instead of devices: all who belong to it now, as one order.", graphql.ID)
	return graphql.NewInputObject(graphql.InputObjectConfig{Name: "SendCommandInput", Fields: fields})
}

// rules puts the rules of waiting into an order.
func (a args) rules(o device.Order) device.Order {
	o.Priority, o.NotBefore, o.ExpiresAt = a.number("priority"), a.moment("notBefore"), a.moment("expiresAt")
	o.SupersedeKey, o.Key, o.Reason = a.text("supersedeKey"), a.text("idempotencyKey"), a.text("reason")
	o.PassesHold, _ = a["passesHold"].(bool)
	return o
}

func sendCommand(ctx context.Context, r *run, a args) (any, error) {
	in := a.object("input")
	if in.text("group") != "" {
		return r.sendGroup(ctx, in)
	}
	parameters, err := in.parameters()
	if err != nil {
		return nil, err
	}
	targets := texts[string](in, "devices")
	if err := count(targets); err != nil {
		return nil, err
	}
	return r.send(ctx, in, in.text("requestType"), parameters, targets)
}

func rawInput() *graphql.InputObject {
	fields := waiting()
	fields["plist"] = input("The property list in XML, with CommandUUID and Command.", must(graphql.String))
	fields["devices"] = input("UDIDs, EnrollmentIDs or serial numbers; at most 1000.", must(graphql.NewList(must(graphql.ID))))
	return graphql.NewInputObject(graphql.InputObjectConfig{Name: "SendRawCommandInput", Fields: fields})
}

func sendRawCommand(ctx context.Context, r *run, a args) (any, error) {
	in := a.object("input")
	targets := texts[string](in, "devices")
	if err := count(targets); err != nil {
		return nil, err
	}
	return r.sendAll(ctx, targets, func(id string) (ordered, error) {
		o, err := handlers.RawOrder([]byte(in.text("plist")))
		if err != nil {
			return ordered{}, err
		}
		return r.one(ctx, in, o, id)
	})
}

func (a args) parameters() (map[string]any, error) {
	given, ok := a["parameters"]
	if !ok || given == nil {
		return nil, nil
	}
	parameters, ok := given.(map[string]any)
	if !ok {
		return nil, domain.Refusef(domain.Invalid, "parameters must be an object")
	}
	return parameters, nil
}

func count(targets []string) error {
	if len(targets) == 0 || len(targets) > maxTargets {
		return domain.Refusef(domain.Invalid, "devices must name between 1 and %d", maxTargets)
	}
	return nil
}

// send orders a command for each target. A wrong command is refused as a whole, before anybody is asked.
func (r *run) send(ctx context.Context, in args, requestType string, parameters map[string]any, targets []string) (sent, error) {
	if _, err := handlers.TypedOrder(requestType, parameters, ""); err != nil {
		return sent{}, err
	}
	return r.sendAll(ctx, targets, func(id string) (ordered, error) {
		o, err := handlers.TypedOrder(requestType, parameters, "")
		if err != nil {
			return ordered{}, err
		}
		return r.one(ctx, in, o, id)
	})
}

// An ordered is a command that one device took.
type ordered struct {
	device, uuid string
	against      string // what the catalogue would have refused
	at           eventstore.Position
}

// sendAll orders something for each target, and tells what became of it.
func (r *run) sendAll(ctx context.Context, targets []string, each func(id string) (ordered, error)) (sent, error) {
	var last eventstore.Position
	out := sent{commands: []order{}, refused: []refusal{}, against: []refusal{}}
	byDevice := map[string][]string{}
	var devices []string
	for _, id := range targets {
		one, err := each(id)
		if err != nil {
			out.refused = append(out.refused, r.because(ctx, id, err))
			continue
		}
		if one.against != "" {
			out.against = append(out.against, refusal{id, domain.Invalid.String(), one.against, nil})
		}
		if byDevice[one.device] == nil {
			devices = append(devices, one.device)
		}
		byDevice[one.device], last = append(byDevice[one.device], one.uuid), max(last, one.at)
	}
	if err := r.shows(ctx, last); err != nil {
		return sent{}, err
	}
	for _, id := range devices {
		commands, err := r.inOrder(ctx, id, byDevice[id], present)
		if err != nil {
			return sent{}, err
		}
		out.commands = append(out.commands, commands...)
	}
	return out, nil
}

// shows waits until the views show what was appended at a position. At 0 nothing was: what is asked for was there
// before, but perhaps only just.
func (r *run) shows(ctx context.Context, at eventstore.Position) error {
	if at == 0 {
		return r.caughtUp(ctx)
	}
	return r.Views.Wait(ctx, at)
}

// one sends an order to one target.
func (r *run) one(ctx context.Context, in args, o device.Order, id string) (done ordered, err error) {
	d, err := r.target(ctx, id)
	if err != nil {
		return done, err
	}
	channel, err := r.channel(ctx, d, in.text("userId"))
	if err != nil {
		return done, err
	}
	push, told := in["push"].(bool)
	asleep := told && !push
	o, done.device, done.uuid = in.rules(o), d.ID, o.UUID
	if o.Raw {
		done.against, done.at, err = r.Orders.SendRaw(ctx, r.caller, d.ID, channel, o, asleep)
		return done, err
	}
	done.uuid, done.at, err = r.Orders.Send(ctx, r.caller, d.ID, channel, o, asleep)
	return done, err
}

// target finds the device that a caller means. One that has just enrolled may not be in the views yet.
func (r *run) target(ctx context.Context, id string) (projections.Device, error) {
	d, found, err := r.Views.Device(ctx, id, projections.Now)
	if err != nil || found {
		return d, err
	}
	return projections.Device{ID: r.Pseudonyms.Device(id)}, nil
}

// channel finds the user that a caller means; the device's own channel if he means none.
func (r *run) channel(ctx context.Context, d projections.Device, userID string) (device.ChannelID, error) {
	if userID == "" {
		return "", nil
	}
	id, found, err := r.user(ctx, d, userID)
	if err == nil && !found { // he may only just have come
		if err = r.caughtUp(ctx); err == nil {
			id, found, err = r.user(ctx, d, userID)
		}
	}
	if err == nil && !found {
		err = domain.Refusef(domain.NotFound, "the device has no such user")
	}
	return id, err
}

func (r *run) user(ctx context.Context, d projections.Device, userID string) (id device.ChannelID, found bool, err error) {
	users, err := r.Views.Users(ctx, d.ID, projections.Now)
	for _, u := range users {
		if userID == u.UserID || userID == u.EnrollmentUserID || userID == u.ShortName || userID == string(u.ID) {
			return u.ID, true, err
		}
	}
	return "", false, err
}

// because tells why a target got nothing. A failure is logged, and masked.
func (r *run) because(ctx context.Context, id string, err error) refusal {
	if _, refused := domain.Refused(err); !refused {
		handlers.Failed(ctx, r.Logger, err)
	}
	p := handlers.Explain(ctx, err)
	return refusal{id, p.Code, p.Message, err}
}

func cancelCommand(ctx context.Context, r *run, a args) (any, error) {
	one, err := r.waits(ctx, a.text("uuid"))
	if err != nil {
		return nil, err
	}
	at, err := r.Orders.Cancel(ctx, r.caller, one.Device, one.UUID, a.text("reason"))
	if err != nil {
		return nil, err
	}
	return r.first(ctx, one.Device, one.UUID, at)
}

// first returns one command as it is after the event at the position.
func (r *run) first(ctx context.Context, deviceID, uuid string, at eventstore.Position) (any, error) {
	if err := r.Views.Wait(ctx, at); err != nil {
		return nil, err
	}
	found, err := r.inOrder(ctx, deviceID, []string{uuid}, present)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

func clearQueue(ctx context.Context, r *run, a args) (any, error) {
	d, err := r.target(ctx, a.text("device"))
	if err != nil {
		return nil, err
	}
	uuids, at, err := r.Orders.ClearQueue(ctx, r.caller, d.ID, a.text("reason"))
	if err != nil {
		return nil, err
	}
	if err := r.Views.Wait(ctx, at); err != nil {
		return nil, err
	}
	return r.inOrder(ctx, d.ID, uuids, present)
}

func wake(ctx context.Context, r *run, a args) (any, error) {
	targets := texts[string](a, "devices")
	if err := count(targets); err != nil {
		return nil, err
	}
	out := make([]woken, len(targets))
	for i, id := range targets {
		d, err := r.target(ctx, id)
		if err == nil {
			_, err = r.Orders.Wake(ctx, r.caller, d.ID, "")
		}
		out[i] = woken{device: id, requested: err == nil}
		if err != nil {
			out[i].refusal = r.because(ctx, id, err)
		}
	}
	return out, nil
}

func createToken(ctx context.Context, r *run, a args) (any, error) {
	role, expires := operator.Role(a.text("role")), a.moment("expiresAt")
	id, text, err := r.Tokens.Create(ctx, r.caller, a.text("name"), role, expires)
	if err != nil {
		return nil, err
	}
	return created{text, projections.OperatorToken{
		ID: id, Name: a.text("name"), Role: role, CreatedAt: r.Now().UTC().Truncate(time.Microsecond),
		CreatedBy: r.caller.Actor(), Expires: expires,
	}}, nil
}

func revokeToken(ctx context.Context, r *run, a args) (any, error) {
	if err := r.Tokens.Revoke(ctx, r.caller, a.text("id"), a.text("reason")); err != nil {
		return nil, err
	}
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	all, err := r.Views.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.ID == a.text("id") {
			return t, nil
		}
	}
	return nil, domain.Refusef(domain.NotFound, "no such token is known")
}

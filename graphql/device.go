package graphql

import (
	"context"
	"encoding/json"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A seen is a device, and the moment at which it is looked at. All its fields speak of that moment.
type seen struct {
	projections.Device
	when moment
}

// A user is a user channel and whose it is.
type user struct {
	projections.UserChannel
	of seen
}

// A span is a fact or its span of time; empty is what one is not.
type span = projections.Fact

func (t *types) makeDevice() {
	t.user = t.object("UserChannel", "A user of a device who is managed there.", t.userFields)
	t.fact = t.object("Fact", "What is known of a device under a key.", t.factFields)
	t.span = t.object("FactSpan", "What was known of a device under a key for a while.", t.spanFields)
	t.spans = t.connection(t.span)
	t.change = t.object("FactChange", "A difference between two moments.", t.changeFields)
	t.application = t.object("Application", "An app that a device has told of.", t.applicationFields)
	t.applications = t.connection(t.application)
	t.profile = t.object("InstalledProfile", "A configuration profile that a device has told of.", t.profileFields)
	t.identity = t.object("InstalledCertificate", "A certificate that a device has told of.", t.certificateFields)
	t.device = t.object("Device", "A device, as it was at the moment that was asked for. What is not known is null.", t.deviceFields)
	t.devices = t.connection(t.device)
	t.makeUpdates()
	t.count = t.object("Count", "How many of one kind.", countFields)
	t.fleet = t.object("Fleet", "The numbers of a fleet at one moment.", t.fleetFields)
}

func (t *types) deviceQueries() graphql.Fields {
	asOf := asOf()
	return graphql.Fields{
		"device": root("One device.", t.device,
			with(asOf, graphql.FieldConfigArgument{"id": arg("UDID, EnrollmentID or serial number.", must(graphql.ID))}), oneDevice),
		"devices": root("Devices, page by page.", must(t.devices), forward(with(asOf, graphql.FieldConfigArgument{
			"filter":  arg("", t.deviceFilter),
			"orderBy": arg("", t.deviceOrder),
		})), manyDevices),
		"fleet":     root("The fleet's numbers.", must(t.fleet), asOf, oneFleet),
		"osUpdates": root("Updates of operating systems, and how many devices told what of them.", many(t.fleetUpdate), asOf, fleetUpdates),
		"fleetHistory": root("The fleet's numbers at equal distances, 366 of them at most.", many(t.fleet), graphql.FieldConfigArgument{
			"from":  arg("", must(timeScalar)),
			"to":    arg("", must(timeScalar)),
			"every": arg("An ISO 8601 duration, e.g. P1D or PT6H.", must(graphql.String)),
		}, fleetHistory),
	}
}

func oneDevice(ctx context.Context, r *run, a args) (any, error) {
	when, err := r.moment(ctx, a)
	if err != nil {
		return nil, err
	}
	return r.device(ctx, a.text("id"), when)
}

// device returns a device at a moment, nil if there was none.
func (r *run) device(ctx context.Context, id string, when moment) (any, error) {
	d, found, err := r.Views.Device(ctx, id, when.at)
	if err != nil || !found {
		return nil, err
	}
	return seen{d, when}, nil
}

func manyDevices(ctx context.Context, r *run, a args) (any, error) {
	when, err := r.moment(ctx, a)
	if err != nil {
		return nil, err
	}
	q, err := deviceQuery(a, when)
	if err != nil {
		return nil, err
	}
	return r.choose(ctx, q, when)
}

// choose returns a page of devices at a moment.
func (r *run) choose(ctx context.Context, q projections.DeviceQuery, when moment) (any, error) {
	page, err := r.Views.Devices(ctx, q)
	if err != nil {
		return nil, err
	}
	c := connect(page, func(d projections.Device) any { return seen{d, when} })
	c.total = func(ctx context.Context, r *run) (any, error) { return r.Views.CountDevices(ctx, q) }
	return c, nil
}

func deviceQuery(a args, when moment) (q projections.DeviceQuery, err error) {
	f := a.object("filter")
	q.AsOf = when.at
	q.Filter = projections.DeviceFilter{
		Search: f.text("search"), Status: texts[device.Status](f, "status"), Platform: texts[projections.Platform](f, "platform"),
		OSVersion: f.text("osVersion"), Supervised: f.flag("supervised"),
		SeenBefore: f.moment("seenBefore"), SeenAfter: f.moment("seenAfter"), Application: f.text("application"), Group: f.text("group"),
	}
	for _, fact := range f.objects("fact") {
		value, err := json.Marshal(fact["value"])
		if err != nil {
			return q, domain.Refusef(domain.Invalid, "the value of a fact must be JSON")
		}
		q.Filter.Facts = append(q.Filter.Facts, projections.FactFilter{
			Key: fact.text("key"), Op: projections.FactOp(fact.text("op")), Value: value,
		})
	}
	o := a.object("orderBy")
	q.Order = projections.DeviceOrder{By: projections.DeviceKey(o.text("field")), Descending: o.text("direction") == "DESC"}
	q.Page, err = a.page()
	return q, err
}

func (t *types) deviceFields() graphql.Fields {
	text := func(about string, f func(seen) string) *graphql.Field {
		return get(about, graphql.String, func(s seen) any { return orNull(f(s)) })
	}
	when := func(about string, f func(seen) time.Time) *graphql.Field {
		return get(about, timeScalar, func(s seen) any { return f(s) })
	}
	fields := graphql.Fields{
		"id":             get("The pseudonym under which the log knows it.", must(graphql.ID), func(s seen) any { return s.ID }),
		"udid":           text("", func(s seen) string { return s.UDID }),
		"enrollmentId":   text("Instead of a UDID in a User Enrolment.", func(s seen) string { return s.EnrollmentID }),
		"serialNumber":   text("", func(s seen) string { return s.SerialNumber }),
		"imei":           text("", func(s seen) string { return s.IMEI }),
		"meid":           text("", func(s seen) string { return s.MEID }),
		"name":           text("As it calls itself.", func(s seen) string { return s.Name }),
		"productName":    text("Apple's identifier, e.g. iPad13,4.", func(s seen) string { return s.ProductName }),
		"model":          text("Apple's order number.", func(s seen) string { return s.Model }),
		"modelName":      text("For people, e.g. iPad Pro.", func(s seen) string { return s.ModelName }),
		"platform":       get("", t.platform, func(s seen) any { return orNull(s.Platform) }),
		"osVersion":      text("", func(s seen) string { return s.OSVersion }),
		"buildVersion":   text("", func(s seen) string { return s.BuildVersion }),
		"topic":          text("Of its pushes.", func(s seen) string { return s.Topic }),
		"status":         get("", must(t.status), func(s seen) any { return string(s.Status) }),
		"statusReason":   text("In words; null while it is enrolled.", func(s seen) string { return s.StatusReason }),
		"enrollmentType": text("device, automated or user.", func(s seen) string { return s.EnrollmentType }),
		"generation":     get("Counts its enrolments.", must(graphql.Int), func(s seen) any { return s.Generation }),
		"supervised":     get("", graphql.Boolean, func(s seen) any { return s.Supervised }),
		"userApproved":   get("", graphql.Boolean, func(s seen) any { return s.UserApproved }),
		"awaitingConfiguration": get("It waits in Setup Assistant for DeviceConfigured.", graphql.Boolean,
			func(s seen) any { return s.Awaiting }),
		"enrolledAt":  when("", func(s seen) time.Time { return s.EnrolledAt }),
		"lastSeenAt":  when("When it last spoke.", func(s seen) time.Time { return s.LastSeenAt }),
		"lastPushAt":  when("When Apple last took a push for it.", func(s seen) time.Time { return s.LastPushAt }),
		"queueLength": get("Commands that wait for it and its users.", must(graphql.Int), func(s seen) any { return s.QueueLength }),
	}
	for name, f := range t.deviceDetails() {
		fields[name] = f
	}
	return fields
}

func (t *types) userFields() graphql.Fields {
	return graphql.Fields{
		"id":           get("The pseudonym under which the log knows this channel.", must(graphql.ID), func(u user) any { return string(u.ID) }),
		"userId":       get("As Apple's protocol names this user; give it as userId.", graphql.String, func(u user) any { return orNull(u.UserID) }),
		"shortName":    get("", graphql.String, func(u user) any { return orNull(u.ShortName) }),
		"longName":     get("", graphql.String, func(u user) any { return orNull(u.LongName) }),
		"status":       get("", must(t.status), func(u user) any { return string(u.Status) }),
		"lastSeenAt":   get("", timeScalar, func(u user) any { return u.LastSeenAt }),
		"hold":         t.userHold(),
		"declarations": ask("What the user is to have, and what the device told of it.", many(t.deviceDeclaration), userDeclarations),
	}
}

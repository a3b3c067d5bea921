package projections

import (
	_ "embed"
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

//go:embed fleet.sql
var fleetSQL string

// fleet answers: which devices are there, and how are they, now and at any moment?
//
// What seldom changes is kept in spans. When a device was last seen or pushed is kept for the present only: for
// a moment in the past the timeline knows it.
type fleet struct {
	names *names
	hot   map[int64]sighting
	users map[[2]int64]int64 // device and channel -> last seen
	spans map[int64]span     // the open ones, as far as they are remembered
}

type sighting struct{ seen, pushed int64 }

func newFleet(n *names) folder {
	f := &fleet{names: n}
	f.forget()
	return f
}

func (f *fleet) forget() {
	f.hot, f.users, f.spans = map[int64]sighting{}, map[[2]int64]int64{}, map[int64]span{}
}

func (f *fleet) flush(tx Tx) error {
	for id, s := range f.hot {
		if err := tx.Exec(`UPDATE fleet SET last_seen = COALESCE(?, last_seen), last_push = COALESCE(?, last_push)
			WHERE device = ?`, orNull(s.seen), orNull(s.pushed), id); err != nil {
			return err
		}
	}
	for id, seen := range f.users {
		if err := tx.Exec(`INSERT INTO fleet_users_seen (device, channel, last_seen) VALUES (?, ?, ?)
			ON CONFLICT (device, channel) DO UPDATE SET last_seen = excluded.last_seen`, id[0], id[1], seen); err != nil {
			return err
		}
	}
	clear(f.hot)
	clear(f.users)
	return nil
}

func (f *fleet) apply(tx Tx, r *record) error {
	if r.device == 0 {
		return nil
	}
	if r.spoken {
		if err := f.spoke(tx, r); err != nil {
			return err
		}
	}
	switch e := r.event.(type) {
	case device.PushAccepted:
		s := f.hot[r.device]
		s.pushed = r.at
		f.hot[r.device] = s
	case device.Authenticated:
		return f.authenticated(tx, r, e)
	case device.TokenUpdated:
		if e.Channel != "" {
			return f.userToken(tx, r, e)
		}
		return f.change(tx, r, func(d *Device) error { return gaveToken(d, e, r.at) })
	case device.CheckedOut:
		if err := f.usersLeft(tx, r); err != nil {
			return err
		}
		return f.change(tx, r, func(d *Device) error {
			d.Status, d.StatusReason = device.StatusCheckedOut, "the device checked out"
			return nil
		})
	case device.BootstrapTokenEscrowed:
		return f.awaits(tx, r, e.AwaitingConfiguration)
	case device.BootstrapTokenDeleted:
		return f.awaits(tx, r, e.AwaitingConfiguration)
	case device.BootstrapTokenReleased:
		return f.awaits(tx, r, e.AwaitingConfiguration)
	case device.PresumedUnmanaged:
		return f.change(tx, r, func(d *Device) error {
			d.Status, d.StatusReason = device.StatusPresumedUnmanaged, e.Reason
			return nil
		})
	case device.SubjectErased:
		if e.Channel != "" {
			return f.userErased(tx, r, e.Channel)
		}
		return f.erased(tx, r)
	case device.DeclarationStatusReported:
		if e.Channel == "" {
			return f.change(tx, r, func(d *Device) error { return toldStatus(d, e.Report) })
		}
	case device.CommandAcknowledged:
		if e.Channel == "" && tells(e.RequestType) {
			return f.change(tx, r, func(d *Device) error { return told(d, e) })
		}
	}
	return nil
}

// spoke keeps a proof of life. A device that was given up is managed after all.
func (f *fleet) spoke(tx Tx, r *record) error {
	s := f.hot[r.device]
	s.seen = r.at
	f.hot[r.device] = s
	if channel := r.channel(); channel != "" {
		id, err := f.names.id(channels, string(channel))
		if err != nil {
			return err
		}
		f.users[[2]int64{r.device, id}] = r.at
	}
	if !r.revived {
		return nil
	}
	return f.change(tx, r, func(d *Device) error {
		d.Status, d.StatusReason = device.StatusEnrolled, ""
		return nil
	})
}

func (f *fleet) authenticated(tx Tx, r *record, e device.Authenticated) error {
	if err := tx.Exec(`INSERT INTO fleet (device) VALUES (?) ON CONFLICT (device) DO NOTHING`, r.device); err != nil {
		return err
	}
	if !e.Renewal {
		if err := tx.Exec(`UPDATE fleet_users SET until = ? WHERE device = ? AND until IS NULL`, r.position, r.device); err != nil {
			return err
		}
	}
	return f.change(tx, r, func(d *Device) error {
		d.Generation, d.Topic = e.Generation, e.Topic
		if !e.Renewal {
			d.Status, d.StatusReason = device.StatusAuthenticated, "authenticated, but its push token has not come yet"
			d.Supervised, d.UserApproved, d.Awaiting, d.EnrolledAt = nil, nil, nil, moment(0)
			d.EnrollmentType = "device"
		}
		assign(&d.OSVersion, e.OSVersion)
		assign(&d.BuildVersion, e.BuildVersion)
		assign(&d.ProductName, e.ProductName)
		assign(&d.Model, e.Model)
		assign(&d.ModelName, e.ModelName)
		identify(d, e.Identity)
		return nil
	})
}

// awaits keeps what a message told about AwaitingConfiguration; nil if it told nothing.
func (f *fleet) awaits(tx Tx, r *record, told *bool) error {
	if told == nil {
		return nil
	}
	return f.change(tx, r, func(d *Device) error {
		d.Awaiting = told
		return nil
	})
}

// gaveToken is a device after its TokenUpdate.
func gaveToken(d *Device, e device.TokenUpdated, at int64) error {
	d.Status, d.StatusReason = device.StatusEnrolled, ""
	if e.AwaitingConfiguration != nil {
		d.Awaiting = e.AwaitingConfiguration
	}
	if e.Enrolled || d.EnrolledAt.IsZero() {
		d.EnrolledAt = moment(at)
	}
	assign(&d.Topic, e.Topic)
	identify(d, e.Identity)
	return nil
}

// tells reports whether the answer to a command says something about the fleet.
func tells(requestType string) bool {
	return requestType == "DeviceInformation" || requestType == "SecurityInfo" || requestType == "DeviceConfigured"
}

// told is a device after it has answered a command.
func told(d *Device, e device.CommandAcknowledged) error {
	switch e.RequestType {
	case "DeviceConfigured":
		d.Awaiting = new(false)
		return nil
	case "SecurityInfo":
		return toldSecurity(d, e.Result)
	}
	responses, err := rawjson.Get(e.Result, "QueryResponses")
	if err != nil {
		return err
	}
	list, err := rawjson.Members(responses)
	for _, m := range list {
		if field := answerField(d, m.Name); field != nil {
			assign(field, text(m.Value))
		}
		if is := truth(m.Value); is != nil {
			switch m.Name {
			case "IsSupervised":
				d.Supervised = is
			case "AwaitingConfiguration":
				d.Awaiting = is
			}
		}
	}
	return err
}

// answerField returns where an answer to a DeviceInformation query belongs; nil for most.
func answerField(d *Device, query string) *string {
	switch query {
	case "DeviceName":
		return &d.Name
	case "OSVersion":
		return &d.OSVersion
	case "BuildVersion":
		return &d.BuildVersion
	case "ProductName":
		return &d.ProductName
	case "Model":
		return &d.Model
	case "ModelName":
		return &d.ModelName
	case "SerialNumber":
		return &d.SerialNumber
	case "IMEI":
		return &d.IMEI
	case "MEID":
		return &d.MEID
	}
	return nil
}

func toldSecurity(d *Device, result json.RawMessage) error {
	info, err := rawjson.Get(result, "SecurityInfo")
	if err != nil {
		return err
	}
	status, err := rawjson.Get(info, "ManagementStatus")
	if err != nil {
		return err
	}
	list, err := rawjson.Members(status)
	for _, m := range list {
		is := truth(m.Value)
		switch {
		case is == nil:
		case m.Name == "UserApprovedEnrollment":
			d.UserApproved = is
		case m.Name == "EnrolledViaDEP" && *is:
			d.EnrollmentType = "automated"
		case m.Name == "IsUserEnrollment" && *is:
			d.EnrollmentType = "user"
		}
	}
	return err
}

func identify(d *Device, i device.Identity) {
	assign(&d.UDID, i.UDID)
	assign(&d.EnrollmentID, i.EnrollmentID)
	assign(&d.SerialNumber, i.SerialNumber)
	assign(&d.IMEI, i.IMEI)
	assign(&d.MEID, i.MEID)
	assign(&d.Name, i.DeviceName)
	if d.UDID == "" && d.EnrollmentID != "" {
		d.EnrollmentType = "user"
	}
}

// assign keeps what was known where nothing new was said.
func assign(field *string, value string) {
	if value != "" {
		*field = value
	}
}

package mdm

import (
	"slices"
	"strconv"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// handling is how each check-in message is taken. Source: Apple, "Check-in".
var handling = map[string]func(*Door, *request) (answer, error){
	"Authenticate":          (*Door).authenticate,
	"TokenUpdate":           (*Door).tokenUpdate,
	"CheckOut":              (*Door).checkOut,
	"UserAuthenticate":      (*Door).userAuthenticate,
	"SetBootstrapToken":     (*Door).setBootstrapToken,
	"GetBootstrapToken":     (*Door).getBootstrapToken,
	"DeclarativeManagement": (*Door).declarativeManagement,
	"ReturnToService":       (*Door).returnToService,
	"GetToken":              (*Door).getToken,
}

// senderKeys are the keys of every check-in message: what names its kind and its sender.
var senderKeys = []string{
	"MessageType", "UDID", "EnrollmentID", "UserID", "EnrollmentUserID", "UserShortName", "UserLongName", "AuthToken",
}

// checkIn takes a check-in message.
func (d *Door) checkIn(r *request) (answer, error) {
	kind := r.message.String("MessageType")
	if kind == "" {
		return answer{}, &malformed{text: "a check-in message needs a MessageType"}
	}
	take, known := handling[kind]
	if !known {
		return answer{}, &malformed{class: "unknown-message", text: "no check-in message has this MessageType"}
	}
	a, err := take(d, r)
	if err == nil {
		d.Observe.checkIn(kind)
	}
	return a, err
}

// update has the device decide, if the sender's certificate may speak for it.
func (d *Door) update(r *request, decide func(device.Device, time.Time) ([]domain.Event, error)) (change, error) {
	if r.message.Err() != nil {
		return change{}, &malformed{text: "a key of the message has a type that it cannot have"}
	}
	return d.Devices.Update(r.ctx, r.sender.device, d.keeping(r, false), func(dev device.Device, at time.Time) ([]domain.Event, error) {
		if err := r.admits(dev); err != nil {
			return nil, err
		}
		return decide(dev, at)
	})
}

// ownChannel refuses a user's message of a kind that only devices send.
func (r *request) ownChannel() error {
	if r.sender.channel != "" {
		return &malformed{text: "only a device sends this message, not a user"}
	}
	return nil
}

// authenticate takes the message by which a device asks to be managed. Its certificate is bound to it first, for
// ever: the log refuses one that is bound to another device already.
func (d *Door) authenticate(r *request) (answer, error) {
	m := r.message
	message := device.Authenticate{
		Identity: r.identity(), Topic: m.String("Topic"), OSVersion: m.String("OSVersion"),
		BuildVersion: m.String("BuildVersion"), ProductName: m.String("ProductName"),
		Model: m.String("Model"), ModelName: m.String("ModelName"), Certificate: r.certificate,
		AccessRights: r.accessRights(), Renewal: r.http.URL.Query().Get(renewalKey),
		Rest: m.Rest(slices.Concat(senderKeys, []string{
			"Topic", "OSVersion", "BuildVersion", "ProductName", "Model", "ModelName",
			"SerialNumber", "IMEI", "MEID", "DeviceName",
		})...),
	}
	if m.Err() != nil {
		return answer{}, &malformed{text: "a key of the message has a type that it cannot have"}
	}
	if err := r.ownChannel(); err != nil {
		return answer{}, err
	}
	if _, err := (device.Device{}).Authenticate(message, r.now); err != nil {
		return answer{}, err // no certificate is bound by a message that means nothing
	}
	meta := r.meta()
	meta.Actor.Address = "" // the device's own events keep it: the certificate's need no keys then
	bound, err := d.Certificates.Update(r.ctx, r.certificate.Fingerprint, meta, func(c certificate.Certificate, _ time.Time) ([]domain.Event, error) {
		if err := c.Fits(func() string { return d.serialMark(message.SerialNumber) }); err != nil {
			return nil, err
		}
		return c.Bind(r.sender.device)
	})
	if refusal, ok := domain.Refused(err); ok && refusal.Reason == domain.Forbidden {
		return answer{}, errForeign
	}
	if err != nil {
		return answer{}, err
	}
	message.Road, message.Invitation = bound.State.Road, bound.State.Of
	if message.Person, err = d.broughtBy(r, bound.State.Ticket); err != nil {
		return answer{}, err
	}
	message.Attested = d.vouched(message, bound.State.Attested)
	change, err := d.Devices.Update(r.ctx, r.sender.device, d.keeping(r, true), func(dev device.Device, at time.Time) ([]domain.Event, error) {
		return dev.Authenticate(message, at)
	})
	if err == nil && d.Admitted != nil && message.Invitation != "" && !change.State.Renewing {
		err = d.Admitted(r.ctx, r.sender.device, message.Invitation) // before the answer: a device that gets none asks again
	}
	if err == nil && message.Person != (domain.Person{}) {
		err = d.Visitors.Forget(r.ctx, bound.State.Ticket)
	}
	return kept, err
}

// broughtBy returns who signed in to get the challenge by which a device came; nobody if nobody did.
func (d *Door) broughtBy(r *request, ticket string) (domain.Person, error) {
	if d.Visitors == nil || ticket == "" {
		return domain.Person{}, nil
	}
	return d.Visitors.Person(r.ctx, ticket)
}

// What the CheckInURL of an enrolment profile of ours may tell in its query: the rights that the profile grants, and
// the CommandUUID of the InstallProfile that brings it in the place of another.
const (
	rightsKey  = "rights"
	renewalKey = "renewal"
)

// accessRights returns the rights that the enrolment profile grants, 0 if they are not known.
func (r *request) accessRights() int {
	rights, err := strconv.Atoi(r.http.URL.Query().Get(rightsKey))
	if err != nil || rights < 0 || rights > allRights {
		return 0
	}
	return rights
}

// allRights are all of Apple's access rights.
const allRights = 8191

// identity returns what an Authenticate tells to name the device.
func (r *request) identity() device.Identity {
	id, m := r.sender.identity, r.message
	id.SerialNumber, id.IMEI, id.MEID = m.String("SerialNumber"), m.String("IMEI"), m.String("MEID")
	id.DeviceName = m.String("DeviceName")
	return id
}

// tokenUpdate takes the push data of a channel.
func (d *Door) tokenUpdate(r *request) (answer, error) {
	m := r.message
	message := device.TokenUpdate{
		Channel: r.sender.channel, Topic: m.String("Topic"), Token: m.Bytes("Token"), PushMagic: m.String("PushMagic"),
		UnlockToken: m.Bytes("UnlockToken"), AwaitingConfiguration: m.Bool("AwaitingConfiguration"),
		NotOnConsole: m.Bool("NotOnConsole"), Identity: r.sender.identity, User: r.sender.user, Certificate: r.certificate,
		Rest: m.Rest(slices.Concat(senderKeys, []string{
			"Topic", "Token", "PushMagic", "UnlockToken", "AwaitingConfiguration", "NotOnConsole",
		})...),
	}
	_, err := d.update(r, func(dev device.Device, at time.Time) ([]domain.Event, error) {
		return dev.UpdateToken(message, at)
	})
	return kept, err
}

// checkOut takes a device's leave.
func (d *Door) checkOut(r *request) (answer, error) {
	if err := r.ownChannel(); err != nil {
		return answer{}, err
	}
	_, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) { return dev.CheckOut() })
	return kept, err
}

// setBootstrapToken keeps what unlocks a Mac's volumes for later users. An empty one is forgotten.
func (d *Door) setBootstrapToken(r *request) (answer, error) {
	token, awaits := r.message.Bytes("BootstrapToken"), r.message.Bool("AwaitingConfiguration")
	if err := r.ownChannel(); err != nil {
		return answer{}, err
	}
	_, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return dev.SetBootstrapToken(token, awaits)
	})
	return kept, err
}

// getBootstrapToken hands it back to the device that left it. None is an empty dictionary, never an error.
func (d *Door) getBootstrapToken(r *request) (answer, error) {
	if err := r.ownChannel(); err != nil {
		return answer{}, err
	}
	awaits := r.message.Bool("AwaitingConfiguration")
	done, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		if err := withholds(dev); err != nil {
			return nil, err
		}
		return dev.GetBootstrapToken(awaits)
	})
	if err != nil {
		return answer{}, err
	}
	reply := map[string]any{}
	if token := done.State.BootstrapToken; len(token) > 0 {
		reply["BootstrapToken"] = token
	}
	return inXML(reply)
}

package projections

import (
	_ "embed"
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

//go:embed managed.sql
var managedSQL string

// The kinds of managed things.
const (
	KindProfile      = "PROFILE"
	KindProvisioning = "PROVISIONING_PROFILE"
	KindApp          = "APP"
	KindMedia        = "MEDIA"
	KindAccount      = "ACCOUNT"
	KindCertificate  = "CERTIFICATE" // that came in a profile
)

// Where a managed thing stands. That a device acknowledged its command is not that it is there: a list tells that.
const (
	ManagedOrdered      = "ORDERED"       // on its way for the first time
	ManagedAcknowledged = "ACKNOWLEDGED"  // the device took the command; no list has told of it since
	ManagedVerified     = "VERIFIED"      // a list told of it
	ManagedDiffers      = "DIFFERS"       // a list told of another edition of it
	ManagedMissing      = "MISSING"       // a list did not tell of it
	ManagedFailed       = "FAILED"        // it could not be brought there
	ManagedRemoved      = "REMOVED"       // taken away by a command
	ManagedGone         = "GONE"          // it went with the enrolment
	ManagedLeft         = "LEFT"          // the enrolment ended and it stayed, no longer managed
	ManagedPresumedGone = "PRESUMED_GONE" // the device is presumed to be managed no longer
)

// managed answers: what has this server put on a device, who ordered it, and is it there?
type managed struct{ names *names }

func newManaged(n *names) folder { return managed{n} }

func (managed) forget()        {}
func (managed) flush(Tx) error { return nil }

// bringing are the commands that bring things or take them away; those of managedLists ask.
var bringing = map[string]struct {
	kind    string
	removes bool
}{
	"InstallProfile": {KindProfile, false}, "RemoveProfile": {KindProfile, true},
	"InstallProvisioningProfile": {KindProvisioning, false}, "RemoveProvisioningProfile": {KindProvisioning, true},
	"InstallApplication": {KindApp, false}, "InstallEnterpriseApplication": {KindApp, false}, "RemoveApplication": {KindApp, true},
	"InstallMedia": {KindMedia, false}, "RemoveMedia": {KindMedia, true},
	"AccountConfiguration": {KindAccount, false}, "DeleteUser": {KindAccount, true},
}

// aboutThings reports whether a command of this type brings things, takes them away, or asks for them.
func aboutThings(requestType string) bool {
	_, brings := bringing[requestType]
	_, asks := managedLists[requestType]
	return brings || asks
}

func (m managed) apply(tx Tx, r *record) error {
	if r.device == 0 {
		return nil
	}
	if r.revived {
		if err := m.revived(tx, r); err != nil {
			return err
		}
	}
	switch e := r.event.(type) {
	case device.CommandQueued:
		if aboutThings(e.RequestType) {
			return m.queued(tx, r, e)
		}
	case device.CommandAcknowledged:
		if aboutThings(e.RequestType) {
			return m.acknowledged(tx, r, e)
		}
	case device.CommandFailed:
		return m.refused(tx, r, e.RequestType, or(firstError(e.ErrorChain), "the device could not do it"))
	case device.CommandFormatRejected:
		return m.refused(tx, r, e.RequestType, or(firstError(e.ErrorChain), "the device did not understand the command"))
	case device.CommandCancelled:
		return m.dropped(tx, r, e.RequestType)
	case device.CommandSuperseded:
		return m.dropped(tx, r, e.RequestType)
	case device.CommandExpired:
		return m.dropped(tx, r, e.RequestType)
	default:
		return m.enrolment(tx, r)
	}
	return nil
}

// An errand is a command under way.
type errand struct {
	channel     int64
	kind, ident string
	stays       int64
	brings      device.Thing
}

// holding is the thing as it is in a state, by a command.
func (e errand) holding(state string, command int64) holding {
	return holding{state: state, command: command, stays: e.stays, locked: boolInt(e.brings.Locked), revision: e.brings.Revision, uuid: e.brings.UUID}
}

// partial is the kind of an errand that asks for a part of a list.
const partial = "PART"

// queued notes a command under way, and what it brings to a device that does not have it yet.
func (m managed) queued(tx Tx, r *record, e device.CommandQueued) error {
	channel, err := m.channel(e.Channel)
	if err != nil {
		return err
	}
	one := errandOf(e)
	if one.kind == "" {
		return nil
	}
	what, err := json.Marshal(one.brings)
	if err != nil {
		return err
	}
	if err := tx.Exec(`INSERT INTO managed_orders (command, device, channel, kind, ident, stays, brings) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		r.command, r.device, channel, one.kind, one.ident, one.stays, string(what)); err != nil {
		return err
	}
	if one.kind == partial || bringing[e.RequestType].removes || one.ident == "" {
		return nil
	}
	return m.change(tx, r, thingKey{channel, one.kind, one.ident}, func(h *holding) {
		if !h.present() {
			*h = one.holding(ManagedOrdered, r.command)
		}
	})
}

// settle returns the errand of a command that has ended, and forgets it.
func (m managed) settle(tx Tx, r *record) (it errand, found bool, err error) {
	var what string
	found, err = one(tx, `SELECT channel, kind, ident, stays, brings FROM managed_orders WHERE command = ?`, []any{r.command}, func(row Row) {
		it.channel, it.kind, it.ident, it.stays, what = row.Int(0), row.Text(1), row.Text(2), row.Int(3), row.Text(4)
	})
	if err != nil || !found {
		return it, found, err
	}
	if err := json.Unmarshal([]byte(what), &it.brings); err != nil {
		return it, true, err
	}
	return it, true, tx.Exec(`DELETE FROM managed_orders WHERE command = ?`, r.command)
}

// acknowledged tells what a device did, or what its list tells.
func (m managed) acknowledged(tx Tx, r *record, e device.CommandAcknowledged) error {
	one, found, err := m.settle(tx, r)
	if err != nil {
		return err
	}
	if l, is := managedLists[e.RequestType]; is {
		return m.told(tx, r, e, l, found)
	}
	if !found {
		return nil
	}
	if one.kind == KindApp && !bringing[e.RequestType].removes {
		if m.answered(&one, e.Result) {
			return m.unbrought(tx, r, one, text(within(e.Result, "RejectionReason")))
		}
	}
	key := thingKey{one.channel, one.kind, one.ident}
	if one.ident == "" {
		return nil // nobody knows what it was
	}
	if bringing[e.RequestType].removes {
		return m.removed(tx, r, key)
	}
	return m.brought(tx, r, key, one)
}

// answered fills in which app it was, and reports whether the device rejected it after all.
func (m managed) answered(one *errand, result json.RawMessage) (rejected bool) {
	if one.ident == "" {
		one.ident = text(within(result, "Identifier"))
	}
	return text(within(result, "RejectionReason")) != ""
}

func (m managed) brought(tx Tx, r *record, key thingKey, one errand) error {
	if err := m.change(tx, r, key, func(h *holding) {
		said := h.about
		*h = one.holding(ManagedAcknowledged, r.command)
		h.about = said
	}); err != nil || key.kind != KindProfile {
		return err
	}
	return m.certificates(tx, r, key, one.brings.Certificates)
}

// certificates tells of those that a profile brought, and of those of its edition before that it no longer brings.
func (m managed) certificates(tx Tx, r *record, of thingKey, fingerprints []string) error {
	before, err := m.partsOf(tx, r, of)
	if err != nil {
		return err
	}
	for _, fingerprint := range fingerprints {
		delete(before, fingerprint)
		key := thingKey{of.channel, KindCertificate, fingerprint}
		if err := m.change(tx, r, key, func(h *holding) {
			if !h.present() || h.partOf != of.ident {
				*h = holding{state: ManagedAcknowledged, command: r.command, partOf: of.ident, about: h.about}
			}
		}); err != nil {
			return err
		}
	}
	return m.removeAll(tx, r, of.channel, before)
}

func (m managed) removed(tx Tx, r *record, key thingKey) error {
	if err := m.change(tx, r, key, func(h *holding) {
		if h.state != "" {
			h.state, h.removal, h.because = ManagedRemoved, r.command, ""
		}
	}); err != nil || key.kind != KindProfile {
		return err
	}
	parts, err := m.partsOf(tx, r, key)
	if err != nil {
		return err
	}
	return m.removeAll(tx, r, key.channel, parts)
}

func (m managed) removeAll(tx Tx, r *record, channel int64, certificates map[string]bool) error {
	for fingerprint := range certificates {
		if err := m.change(tx, r, thingKey{channel, KindCertificate, fingerprint}, func(h *holding) {
			h.state, h.removal = ManagedRemoved, r.command
		}); err != nil {
			return err
		}
	}
	return nil
}

// refused tells that a device did not do what it was told.
func (m managed) refused(tx Tx, r *record, requestType, because string) error {
	if !aboutThings(requestType) {
		return nil
	}
	one, found, err := m.settle(tx, r)
	if err != nil || !found || one.kind == partial || one.ident == "" {
		return err
	}
	if bringing[requestType].removes {
		return m.change(tx, r, thingKey{one.channel, one.kind, one.ident}, func(h *holding) {
			if h.state != "" {
				h.because = "it was not removed: " + because
			}
		})
	}
	return m.unbrought(tx, r, one, because)
}

// unbrought tells that a thing was not brought. One that was there before is there still.
func (m managed) unbrought(tx Tx, r *record, one errand, because string) error {
	if one.ident == "" {
		return nil
	}
	return m.change(tx, r, thingKey{one.channel, one.kind, one.ident}, func(h *holding) {
		if h.present() {
			h.because = "it was not replaced: " + because
			return
		}
		*h = holding{state: ManagedFailed, command: r.command, stays: one.stays, because: because, about: h.about}
	})
}

// dropped forgets a command that never reached its end at the device.
func (m managed) dropped(tx Tx, r *record, requestType string) error {
	if !aboutThings(requestType) {
		return nil
	}
	one, found, err := m.settle(tx, r)
	if err != nil || !found || one.kind == partial || one.ident == "" || bringing[requestType].removes {
		return err
	}
	return m.change(tx, r, thingKey{one.channel, one.kind, one.ident}, func(h *holding) {
		if h.state == ManagedOrdered && h.command == r.command {
			*h = holding{}
		}
	})
}

func (m managed) channel(id device.ChannelID) (int64, error) {
	if id == "" {
		return 0, nil
	}
	return m.names.id(channels, string(id))
}

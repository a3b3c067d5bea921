package mdm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// How much of a refused message is kept as evidence, in bytes: of a device, and of a stranger.
const (
	maxEvidence         = 64 << 10
	maxStrangerEvidence = 8 << 10
)

// again is when a device is asked to come back while the log is away.
const again = 30 * time.Second

// A malformed message is one that the server does not understand. Its text quotes nothing from outside.
type malformed struct {
	class string // as metrics know it; malformed if empty
	text  string
}

func (m *malformed) Error() string { return m.text }

// errForeign says that the sender's certificate is not that of the device in whose name it speaks.
var errForeign = errors.New("the certificate may not speak for this device")

// errRevoked says that the sender's certificate is good no longer.
var errRevoked = errors.New("the certificate was revoked")

// A verdict is what a refused message is told, and how it is known.
type verdict struct {
	status int
	class  string
	text   string
}

// judge returns what follows from an error. Whatever is not a refusal of ours is an accident, and passes.
func judge(err error) verdict {
	if m, ok := errors.AsType[*malformed](err); ok {
		if m.class == "" {
			m.class = "malformed"
		}
		return verdict{http.StatusBadRequest, m.class, m.text}
	}
	if n, ok := errors.AsType[*denial](err); ok {
		return verdict{http.StatusBadRequest, n.class, n.Error()}
	}
	if r, ok := domain.Refused(err); ok {
		return verdict{http.StatusBadRequest, r.Reason.String(), r.Text}
	}
	switch {
	case errors.Is(err, errBrokenOff):
		return verdict{http.StatusBadRequest, "broken-off", errBrokenOff.Error()}
	case errors.Is(err, errTooLarge):
		return verdict{http.StatusRequestEntityTooLarge, "too-large", errTooLarge.Error()}
	case errors.Is(err, errForeign):
		return verdict{http.StatusBadRequest, "foreign-certificate", errForeign.Error()}
	case errors.Is(err, errRevoked):
		return verdict{http.StatusBadRequest, "revoked-certificate", errRevoked.Error()}
	case errors.Is(err, errUnproved):
		return verdict{http.StatusBadRequest, "unproved-user", errUnproved.Error()}
	case errors.Is(err, errDeclined):
		return verdict{http.StatusGone, "declined-user", errDeclined.Error()}
	case errors.Is(err, errLeaving):
		return verdict{http.StatusForbidden, "leaving", errLeaving.Error()}
	case errors.Is(err, errIsolated):
		return verdict{http.StatusServiceUnavailable, "quarantine", errIsolated.Error()}
	case errors.Is(err, errCrowded):
		return verdict{http.StatusServiceUnavailable, "overloaded", errCrowded.Error()}
	}
	return verdict{http.StatusServiceUnavailable, "unavailable", "the server cannot keep the message now"}
}

// refuse answers a message that was not taken. It is kept and logged within a bound, and counted always.
func (d *Door) refuse(r *request, err error) answer {
	v := judge(err)
	d.Observe.refused(v.class)
	switch {
	case errors.Is(err, errLeaving):
		return farewell
	case errors.Is(err, errIsolated):
		a := v.answer()
		a.retry = isolation
		return a
	}
	if errors.Is(err, errCrowded) {
		d.places.told.Do(func() {
			d.Log.WarnContext(r.ctx, "devices come faster than the log takes their messages; some are asked to come again", "at-once", d.AtOnce)
		})
		return v.answer()
	}
	if v.status == http.StatusServiceUnavailable {
		d.Log.ErrorContext(r.ctx, "a device's message was not kept; the device will repeat it", "device", r.sender.device, "error", err)
		return v.answer()
	}
	if errors.Is(err, errBrokenOff) {
		return v.answer() // nobody is there to read it, and nothing to keep: the device comes again
	}
	whose, keep := d.shelf(r, err)
	if keep(r, whose, v.text) {
		said := []any{"device", whose, "why", v.class, "text", v.text, "size", r.size()}
		if errors.Is(err, errNoIdentity) {
			said = append(said, "hint", d.Identity.advice(r.http))
		}
		d.Log.WarnContext(r.ctx, "a message was refused", said...)
	}
	return v.answer()
}

// A keeper keeps a refused message, in a device's stream or that of strangers, if its bound allows.
type keeper func(r *request, whose, text string) bool

// shelf returns where a refused message is kept: one with a foreign certificate with the device that it spoke for,
// if there is one; any other with the device that its certificate is bound to; what is left with the strangers.
func (d *Door) shelf(r *request, err error) (whose string, keep keeper) {
	if r.certificate.Fingerprint == "" {
		return "", d.keepStranger
	}
	c, _, failed := d.Certificates.Load(r.ctx, r.certificate.Fingerprint)
	if failed == nil && errors.Is(err, errForeign) && c.Device != r.sender.device {
		d.suspectClone(r, c.Device)
	}
	if (errors.Is(err, errForeign) || errors.Is(err, errRevoked) || errors.Is(err, errUnproved)) && d.exists(r, r.sender.device) {
		return r.sender.device, d.keepForeign
	}
	if failed == nil && d.exists(r, c.Device) {
		return c.Device, d.keepUnrecognised
	}
	return "", d.keepStranger
}

// exists reports whether a device with this pseudonym has ever authenticated.
func (d *Door) exists(r *request, pseudonym string) bool {
	if pseudonym == "" {
		return false
	}
	dev, _, err := d.Devices.Load(r.ctx, pseudonym)
	return err == nil && dev.Status != ""
}

// keepForeign records that somebody else's certificate spoke for a device. The bound is the device's and the
// certificate's: one thief cannot fill many streams.
func (d *Door) keepForeign(r *request, whose, text string) bool {
	if !d.refused.allow(r.now, "against "+whose, "by "+r.certificate.Fingerprint) {
		return false
	}
	thief, _, err := d.Certificates.Load(r.ctx, r.certificate.Fingerprint)
	if err != nil {
		thief.Device = ""
	}
	return d.keep(r, thief.Device, whose, func(dev device.Device) ([]domain.Event, error) {
		return dev.RefuseIdentity(r.sender.channel, r.certificate.Fingerprint, messageType(r), text)
	})
}

// suspectClone records with the device that a certificate is bound to that it speaks as another one.
func (d *Door) suspectClone(r *request, whose string) {
	if whose == "" || !d.refused.allow(r.now, "cloned "+whose) {
		return
	}
	d.keep(r, whose, whose, func(dev device.Device) ([]domain.Event, error) {
		return dev.SuspectClone(r.certificate.Fingerprint, messageType(r), r.identity())
	})
}

// keepUnrecognised records a message that a device sent and that was not understood.
func (d *Door) keepUnrecognised(r *request, whose, text string) bool {
	if !d.refused.allow(r.now, whose) {
		return false
	}
	return d.keep(r, whose, whose, func(dev device.Device) ([]domain.Event, error) {
		channel := r.sender.channel
		if whose != r.sender.device {
			channel = "" // what the message says about its sender is not to be believed
		}
		return dev.KeepUnrecognised(channel, messageType(r), text, r.size())
	})
}

// keep appends what follows from a refusal of what one device did to another's stream, or its own. The refusal
// stands even if that fails.
func (d *Door) keep(r *request, by, whose string, decide func(device.Device) ([]domain.Event, error)) bool {
	ctx, end := r.beyond()
	defer end()
	meta := r.meta()
	meta.Actor.ID = by
	if r.body.bytes != nil {
		meta.Evidence = d.evidence(r, maxEvidence)
	}
	_, err := d.Devices.Update(ctx, whose, meta, func(dev device.Device, _ time.Time) ([]domain.Event, error) { return decide(dev) })
	if err != nil {
		d.Log.ErrorContext(r.ctx, "a refused message was not kept", "device", whose, "error", err)
	}
	return err == nil
}

// beyond returns a context that does not end when the sender hangs up: nobody gets around being recorded by that.
func (r *request) beyond() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.ctx), again)
}

// keepStranger keeps the beginning of what a stranger sent, if not too much was kept of strangers lately. How
// much was not is told with the next.
func (d *Door) keepStranger(r *request, _, text string) bool {
	if !d.strange.AllowN(r.now, 1) {
		d.unkept.Add(1)
		return false
	}
	unkept := d.unkept.take()
	ctx, end := r.beyond()
	defer end()
	meta := eventstore.Meta{
		Actor:    eventstore.Actor{Kind: eventstore.ByDevice, Address: r.address},
		Evidence: d.evidence(r, maxStrangerEvidence),
	}
	day := r.now.UTC().Format(time.DateOnly)
	_, err := d.Strangers.Update(ctx, day, meta, func(Nobody, time.Time) ([]domain.Event, error) {
		return []domain.Event{stranger.MessageRefused{
			Reason: text, Path: r.http.URL.Path, Size: r.size(), Unkept: unkept, Address: r.address,
		}}, nil
	})
	if err != nil {
		d.unkept.Add(int64(unkept) + 1)
		d.Log.ErrorContext(r.ctx, "a stranger's message was not kept", "error", err)
	}
	return err == nil
}

// messageType returns the message's type, if it got so far and names one that is short enough to be written openly.
func messageType(r *request) string {
	if r.message == nil {
		return ""
	}
	if t := r.message.String("MessageType"); t != "" {
		return clip(t, maxWord)
	}
	return clip(r.message.String("Status"), maxWord)
}

// answer returns the verdict as JSON that people who look into it can read. It quotes nothing from outside.
func (v verdict) answer() answer {
	body, err := json.Marshal(map[string]any{"error": map[string]string{"code": v.class, "message": v.text}})
	if err != nil {
		return answer{status: v.status}
	}
	a := answer{status: v.status, contentType: jsonType, body: append(body, '\n')}
	if v.status == http.StatusServiceUnavailable {
		a.retry = again
	}
	return a
}

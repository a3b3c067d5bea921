package mdm

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// data gives out what a declaration refers to: to the device for which the address was made, which shows its certificate as at
// any other time, and to nobody else. A range is not looked at: the answer is always all of it, with the ContentType, size
// and hash that the declaration told.
//
// Source: Apple, Reference of asset declarations: without an Authentication, a device shows the identity of its enrolment.
func (d *Door) data(c echo.Context) error {
	r := &request{ctx: c.Request().Context(), http: c.Request(), address: c.RealIP(), now: d.Now(), message: &plist.Dict{}}
	a, err := d.download(r, c.Param("mark"))
	if err != nil {
		a = d.refuse(r, err)
	}
	h := c.Response().Header()
	h.Set("Accept-Ranges", "none")
	h.Set("Cache-Control", "private, no-store")
	return write(c, a)
}

func (d *Door) download(r *request, mark string) (_ answer, err error) {
	defer func() {
		if p := recover(); p != nil { // a slip of ours must not end other devices' connections
			err = fmt.Errorf("panic of type %T\n%s", p, debug.Stack())
		}
	}()
	if err := d.visitor(r); err != nil {
		return answer{}, err
	}
	if err := d.places.take(r.ctx); err != nil {
		return answer{}, err
	}
	defer d.places.leave()
	if _, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return nil, errors.Join(withholds(dev), dev.Declares())
	}); err != nil {
		return answer{}, err
	}
	download, found, err := d.Declarations.Download(r.ctx, r.sender.device, mark)
	if err != nil {
		return answer{}, err
	}
	if !found { // an address of before, or of somebody else: which one is not told
		d.Observe.refused("unknown-data")
		return answer{status: http.StatusNotFound}, nil
	}
	if r.http.Method == http.MethodGet {
		_, err = d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
			return dev.FetchDeclarations(download.Channel, "data/"+download.Identifier, true)
		})
	}
	return answer{status: http.StatusOK, contentType: download.Type, body: download.Data}, err
}

// visitor finds out which device asks, by its certificate alone: there is no message that would name it.
func (d *Door) visitor(r *request) error {
	if d.Identity.spoofed(r.http) {
		d.Observe.refused("untrusted-proxy")
	}
	who, err := d.Identity.examine(r.http, r.now)
	if err != nil {
		return err
	}
	if err := who.holds(nil); err != nil {
		return err
	}
	r.certificate = who.Certificate
	bound, _, err := d.Certificates.Load(r.ctx, r.certificate.Fingerprint)
	if err != nil {
		return err
	}
	if bound.Device == "" {
		return errForeign
	}
	r.sender.device = bound.Device
	return d.stillGood(r)
}

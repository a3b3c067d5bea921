package nano

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A certificate is the answer about a push certificate: NanoMDM's first two fields, and ours.
type certificate struct {
	Topic       string    `json:"topic"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"fingerprint"`         // SHA-256 of the DER, hex
	Renewal     bool      `json:"renewal,omitempty"`   // it took the place of another
	Unchanged   bool      `json:"unchanged,omitempty"` // it was there already
}

// A mistake is the answer to a request about push certificates that was refused.
type mistake struct {
	Error string `json:"error"`
	note
}

// storeCertificate stores a push certificate. One for a topic that is new, while there are others, is refused unless
// force is given: it cannot reach a device that enrolled before, and is mostly a mistake made in Apple's portal.
func (d *Door) storeCertificate(c echo.Context) error {
	who, err := caller(c)
	if err != nil {
		return d.refuseCertificate(c, err)
	}
	text, err := read(c)
	if err != nil {
		return d.refuseCertificate(c, err)
	}
	stored, change, err := d.PushCerts.Import(c.Request().Context(), who, text, c.QueryParam("force") != "")
	if err != nil {
		return d.refuseCertificate(c, err)
	}
	return tell(c, http.StatusOK, certificate{
		Topic: stored.Topic, NotAfter: stored.NotAfter, Fingerprint: stored.Fingerprint,
		Renewal: len(change.Events) > 0 && change.Version > 0, Unchanged: len(change.Events) == 0,
	})
}

func topics(certs []projections.PushCertificate) string {
	names := make([]string, len(certs))
	for i, c := range certs {
		names[i] = c.Topic
	}
	return strings.Join(names, ", ")
}

// showCertificate shows the push certificate of a topic. The topic may be left out where there is only one.
func (d *Door) showCertificate(c echo.Context) error {
	if _, err := caller(c); err != nil {
		return d.refuseCertificate(c, err)
	}
	topic := c.QueryParam("topic")
	if topic == "" {
		all, err := d.Views.PushCertificates(c.Request().Context())
		switch {
		case err != nil:
			return d.refuseCertificate(c, err)
		case len(all) == 0:
			return d.refuseCertificate(c, domain.WithHint(domain.Refusef(domain.NotFound, "there is no push certificate yet"), "PUT it here with its key, both PEM, one after the other (the certificate alone if the request was made here); Apple gives it at https://identity.apple.com/pushcert"))
		case len(all) > 1:
			return d.refuseCertificate(c, domain.WithHint(domain.Refusef(domain.Invalid, "which topic?"), "ask with ?topic= one of: "+topics(all)))
		}
		topic = all[0].Topic
	}
	p, _, err := d.PushCerts.Certificates.Load(c.Request().Context(), topic)
	switch {
	case err != nil:
		return d.refuseCertificate(c, err)
	case p.Topic == "":
		return d.refuseCertificate(c, domain.Refusef(domain.NotFound, "there is no push certificate for this topic"))
	}
	return tell(c, http.StatusOK, certificate{Topic: p.Topic, NotAfter: p.NotAfter, Fingerprint: p.Fingerprint})
}

func (d *Door) refuseCertificate(c echo.Context, err error) error {
	var m mistake
	m.Error, m.note = d.explain(c, err)
	return tell(c, handlers.Status(err), m)
}

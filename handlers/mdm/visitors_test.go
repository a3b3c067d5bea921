package mdm

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// guestbook knows who signed in, by ticket, until it is forgotten.
type guestbook struct {
	who       map[string]domain.Person
	forgotten []string
	trouble   error // when somebody is to be forgotten
}

func (b *guestbook) Person(_ context.Context, ticket string) (domain.Person, error) {
	return b.who[ticket], nil
}

func (b *guestbook) Forget(_ context.Context, ticket string) error {
	if b.trouble == nil {
		b.forgotten = append(b.forgotten, ticket)
		delete(b.who, ticket)
	}
	return b.trouble
}

// brought is how the device authenticated last.
func (g *guest) brought() (e device.Authenticated) {
	for _, r := range g.history() {
		if one, is := r.event.(device.Authenticated); is {
			e = one
		}
	}
	return e
}

// A device's own event says who signed in to bring it, before that is forgotten elsewhere; if it cannot be forgotten the device is
// told to come again, and its event stands.
func TestADeviceSaysWhoBroughtIt(t *testing.T) {
	ada := domain.Person{Account: "ada@example.com", Issuer: "https://login.example.com"}
	book := &guestbook{who: map[string]domain.Person{"t1": ada}, trouble: errors.New("the disk is full")}
	h := build(t, func(h *house) { h.door.Visitors = book })
	g := h.guest("U1")
	_, err := h.door.Certificates.Update(t.Context(), certificateOf(g.id.cert).Fingerprint, eventstore.Meta{}, func(c certificate.Certificate, _ time.Time) ([]domain.Event, error) {
		return c.Issue(certificate.Issued{Road: "profile", Invitation: "default", Ticket: "t1"})
	})
	if err != nil {
		t.Fatal(err)
	}
	hello := map[string]any{"MessageType": "Authenticate", "Topic": topic}
	g.say(http.StatusServiceUnavailable, "/mdm/checkin", hello)
	if e := g.brought(); e.Person != ada || len(book.forgotten) != 0 {
		t.Errorf("kept as %+v; forgotten are %q", e.Person, book.forgotten)
	}
	book.trouble = nil
	before := len(g.history())
	g.say(http.StatusOK, "/mdm/checkin", hello)
	if len(g.history()) != before || len(book.forgotten) != 1 {
		t.Errorf("asking again makes %d events; forgotten are %q", len(g.history())-before, book.forgotten)
	}
	h.guest("U2").say(http.StatusOK, "/mdm/checkin", hello)
	if e := h.guest("U2").brought(); e.Person != (domain.Person{}) || len(book.forgotten) != 1 {
		t.Errorf("whoever was brought by nobody: %+v", e.Person)
	}
}

package handlers

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// PushCerts is the use case of push certificates: asking for one, and giving it to the server.
type PushCerts struct {
	Certificates *eventstore.Repository[pushcert.PushCertificate, domain.Event]
	Requests     *eventstore.Repository[pushcert.Request, domain.Event]
	Views        PushCertViews
}

// PushCertViews tell which topics there are, and who enrolled with them. *projections.Views does.
type PushCertViews interface {
	PushCertificates(ctx context.Context) ([]projections.PushCertificate, error)
	Orphans(ctx context.Context, topic string, most int) (serials []string, all int, err error)
}

// Ask makes a key and a request to certify it, for administrators. topic is that of the certificate that is to be renewed,
// empty for the first. The key stays here.
func (p *PushCerts) Ask(ctx context.Context, c Caller, a pushcert.Applicant, topic string) (pushcert.Request, error) {
	if err := c.Administer(); err != nil {
		return pushcert.Request{}, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return pushcert.Request{}, fmt.Errorf("make a key: %w", err)
	}
	made, err := pushcert.Ask(a, topic, key)
	if err != nil {
		return pushcert.Request{}, err
	}
	change, err := p.Requests.Update(ctx, made.ID, Meta(ctx, c), func(r pushcert.Request, _ time.Time) ([]domain.Event, error) { return r.Make(made) })
	return change.State, err
}

// howToStore is what to do where a push certificate is wanted.
const howToStore = "give the certificate and its key, both PEM, one after the other (the certificate alone if the request was made here); Apple gives it at https://identity.apple.com/pushcert"

// Import stores a push certificate, which is with its key or for one that was made here. One for a topic that is new,
// while there are others, is refused unless it is forced: it cannot reach a device that enrolled before, and is mostly a
// mistake made in Apple's portal.
func (p *PushCerts) Import(ctx context.Context, c Caller, text []byte, force bool) (pushcert.PushCertificate, eventstore.Change[pushcert.PushCertificate, domain.Event], error) {
	var change eventstore.Change[pushcert.PushCertificate, domain.Event]
	if err := c.Change(); err != nil {
		return pushcert.PushCertificate{}, change, err
	}
	given, err := pushcert.Read(text, func(keyID string) ([]byte, error) {
		r, _, err := p.Requests.Load(ctx, keyID)
		return r.Key, err
	})
	if r, ok := domain.Refused(err); ok && r.Hint == "" {
		err = domain.WithHint(err, howToStore)
	}
	if err == nil && !force {
		err = p.guard(ctx, given.Topic)
	}
	if err != nil {
		return pushcert.PushCertificate{}, change, err
	}
	change, err = p.Certificates.Update(ctx, given.Topic, Meta(ctx, c), func(p pushcert.PushCertificate, at time.Time) ([]domain.Event, error) {
		return p.Store(given, at)
	})
	return change.State, change, err
}

// mostNamed is how many devices a refusal names.
const mostNamed = 10

// guard refuses a topic that is new while there are others.
func (p *PushCerts) guard(ctx context.Context, topic string) error {
	known, _, err := p.Certificates.Load(ctx, topic)
	if err != nil || known.Topic != "" {
		return err
	}
	others, err := p.Views.PushCertificates(ctx)
	if err != nil || len(others) == 0 {
		return err
	}
	serials, all, err := p.Views.Orphans(ctx, topic, mostNamed)
	if err != nil {
		return err
	}
	names := make([]string, len(others))
	for i, o := range others {
		names[i] = o.Topic
	}
	return domain.WithHint(
		domain.Refusef(domain.Conflict, "the certificate is for another topic than %s: it cannot reach the %d devices that are enrolled with what is here%s, until they enrol anew",
			strings.Join(names, ", "), all, named(serials, all)),
		"at https://identity.apple.com/pushcert, renew the same entry instead of creating one; to add this topic all the same, send it again with ?force=1 (on the command line --force)")
}

// named lists serial numbers in brackets.
func named(serials []string, all int) string {
	if len(serials) == 0 {
		return ""
	}
	text := " (" + strings.Join(serials, ", ")
	if more := all - len(serials); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + ")"
}

package handlers_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A postbox takes letters, but those to somebody.
type postbox struct {
	letters []handlers.Letter
	broken  error
}

func (p *postbox) Send(_ context.Context, l handlers.Letter) (handlers.Posted, error) {
	if strings.HasPrefix(l.To, "nobody@") {
		return handlers.Posted{By: enrollment.BySMTP}, &handlers.Undelivered{Code: 550, Text: "550 no such user"}
	}
	p.letters = append(p.letters, l)
	return handlers.Posted{By: enrollment.BySMTP, ID: "id"}, p.broken
}

func office(t *testing.T) (*handlers.Letters, *postbox, *embedded.Log, *seal.Codec[domain.Event]) {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	now := func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	box := &postbox{}
	return &handlers.Letters{
		Invitations: &handlers.Invitations{Invitations: &eventstore.Repository[enrollment.Invitation, domain.Event]{
			Log: log, Codec: codec, Kind: enrollment.Kind, Fold: enrollment.Invitation.Evolve, Now: now,
		}},
		Post: box, Link: func(id string) string { return "https://mdm.example.com/enroll/" + id + "/key" }, Organization: "Example", Now: now,
	}, box, log, codec
}

var (
	ada    = handlers.Caller{ID: "t1", Name: "Ada", Role: operator.Operator}
	viewer = handlers.Caller{ID: "t2", Name: "Vera", Role: operator.Viewer}
)

// Everybody gets a link of his own; who could not be reached keeps his invitation, and the log knows all, sealed.
func TestInvitationsByMail(t *testing.T) {
	l, box, log, codec := office(t)
	sent, _, err := l.Invite(t.Context(), ada, []string{"ada@example.com", "nobody@example.com", "bob@example.com"}, enrollment.Terms{Name: "Phone", Uses: 1})
	if err != nil || len(sent) != 3 || len(box.letters) != 2 {
		t.Fatalf("%+v, %v", sent, err)
	}
	if sent[0].Problem != "" || sent[1].Problem != "550 no such user" || sent[0].Invitation == sent[2].Invitation || box.letters[0].Link == box.letters[1].Link {
		t.Errorf("%+v, %+v", sent, box.letters)
	}
	if first := box.letters[0]; first.To != "ada@example.com" || first.Limit != 1 || !first.Until.Equal(l.Now().Add(handlers.DefaultGood)) || first.Organization != "Example" {
		t.Errorf("the letter is %+v", first)
	}
	if _, _, err := l.Mail(t.Context(), ada, sent[1].Invitation, []string{"eve@example.com"}); err != nil || len(box.letters) != 3 {
		t.Errorf("sent to another address: %v", err)
	}
	var told []string
	for env, err := range log.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if open := string(env.Data); strings.Contains(open, "@example.com") || strings.Contains(open, "/enroll/") || strings.Contains(open, "no such user") {
			t.Errorf("%s stands in the clear", open)
		}
		event, err := codec.Decode(env)
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case enrollment.Mailed:
			told = append(told, "to "+e.Recipient)
		case enrollment.MailFailed:
			told = append(told, "not to "+e.Recipient+": "+e.ErrorText)
		}
	}
	if got := strings.Join(told, "; "); got != "to ada@example.com; not to nobody@example.com: 550 no such user; to bob@example.com; to eve@example.com" {
		t.Errorf("the log tells %s", got)
	}
}

func TestLettersThatAreRefused(t *testing.T) {
	l, box, log, _ := office(t)
	phone := enrollment.Terms{Name: "Phone", Uses: 1}
	many := make([]string, 21)
	for i := range many {
		many[i] = string(rune('a'+i)) + "@example.com"
	}
	for name, c := range map[string]struct {
		who   handlers.Caller
		to    []string
		terms enrollment.Terms
	}{
		"by a viewer":        {viewer, []string{"ada@example.com"}, phone},
		"to nobody":          {ada, nil, phone},
		"to too many":        {ada, many, phone},
		"twice to one":       {ada, []string{"ada@example.com", "ADA@example.com"}, phone},
		"to no address":      {ada, []string{"ada@example.com", "bob"}, phone},
		"with another head":  {ada, []string{"ada@example.com\r\nBcc: eve@example.com"}, phone},
		"without a name":     {ada, []string{"ada@example.com"}, enrollment.Terms{}},
		"that has expired":   {ada, []string{"ada@example.com"}, enrollment.Terms{Name: "Phone", Expires: l.Now()}},
		"on an unknown road": {ada, []string{"ada@example.com"}, enrollment.Terms{Name: "Phone", Roads: []string{"air"}}},
	} {
		if _, refused := domain.Refused(third(l.Invite(t.Context(), c.who, c.to, c.terms))); !refused {
			t.Errorf("a letter %s is sent", name)
		}
	}
	if _, refused := domain.Refused(third(l.Mail(t.Context(), ada, "none", []string{"ada@example.com"}))); !refused {
		t.Error("a letter about no invitation is sent")
	}
	if head, err := log.Head(t.Context()); err != nil || head != 0 || len(box.letters) != 0 {
		t.Errorf("%d events, %d letters, %v", head, len(box.letters), err)
	}
	box.broken = errors.New("the disk is full")
	if err := third(l.Invite(t.Context(), ada, []string{"ada@example.com"}, phone)); !errors.Is(err, box.broken) {
		t.Errorf("when a letter cannot be written: %v", err)
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }

package handlers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Letter brings somebody an invitation.
type Letter struct {
	To           string // an address, without a name
	Link         string // a secret: whoever has it may use it
	Organization string // may be empty
	Invitation   string // its name
	Limit        int    // how many devices may come in by it; any number if 0
	Until        time.Time
}

// A Post sends letters. What became of one is said as the domain records it; ID, or where it lies, is told to who sent it.
type Post interface {
	// Send returns the letter's ID when a mail server took it, or the file in which it lies. An error is Undelivered, or
	// that the letter could not be written.
	Send(ctx context.Context, l Letter) (Posted, error)
}

// A Posted letter has left this server's hands.
type Posted struct {
	By   string // one of enrollment.BySMTP and ByFile
	ID   string
	File string // where it lies, if it was written to a file
}

// An Undelivered says why a mail server did not take a letter. Text may name its receiver.
type Undelivered struct {
	Code int // the mail server's; 0 if it did not answer
	Text string
}

func (u *Undelivered) Error() string { return u.Text }

// Letters is the use case of people who invite others by mail. Callers who may only read are refused.
type Letters struct {
	Invitations  *Invitations
	Post         Post
	Link         func(invitation string) string
	Organization string
	Now          func() time.Time
}

// A Sent is what became of one letter.
type Sent struct {
	Invitation string // its id
	To         string
	File       string // in which it lies; empty if a mail server took it
	Problem    string // why it did not go; empty if it did
}

// maxLetters is how many letters may be sent at once: whoever sends them waits for the mail server.
const maxLetters = 20

// DefaultGood is how long an invitation is good that is sent by mail, if nobody says so.
const DefaultGood = 14 * 24 * time.Hour

// Invite makes an invitation for each address, and sends each its own link. It returns the position after which views show all
// that; nothing is made if an address is no good.
func (l *Letters) Invite(ctx context.Context, c Caller, to []string, t enrollment.Terms) (all []Sent, at eventstore.Position, err error) {
	if err := l.check(c, to); err != nil {
		return nil, 0, err
	}
	if t.Expires.IsZero() {
		t.Expires = l.Now().Add(DefaultGood).Truncate(time.Second)
	}
	for _, address := range to {
		id, _, err := l.Invitations.Invite(ctx, c, "", t)
		if err != nil {
			return all, at, err
		}
		sent, position, err := l.send(ctx, c, id, t, address)
		if err != nil {
			return all, at, err
		}
		all, at = append(all, sent), position
	}
	return all, at, nil
}

// Mail sends the link of an invitation that there is: all get the same.
func (l *Letters) Mail(ctx context.Context, c Caller, id string, to []string) (all []Sent, at eventstore.Position, err error) {
	if err := l.check(c, to); err != nil {
		return nil, 0, err
	}
	i, _, err := l.Invitations.Invitations.Load(ctx, id)
	if err == nil {
		err = i.MayMail(l.Now())
	}
	if err != nil {
		return nil, 0, err
	}
	for _, address := range to {
		sent, position, err := l.send(ctx, c, id, i.Terms, address)
		if err != nil {
			return all, at, err
		}
		all, at = append(all, sent), position
	}
	return all, at, nil
}

func (l *Letters) check(c Caller, to []string) error {
	if err := c.Change(); err != nil {
		return err
	}
	if len(to) == 0 || len(to) > maxLetters {
		return domain.Refusef(domain.Invalid, "name 1 to %d addresses at once", maxLetters)
	}
	for n, address := range to {
		if err := enrollment.CheckAddress(address); err != nil {
			return err
		}
		if slices.ContainsFunc(to[:n], func(other string) bool { return strings.EqualFold(other, address) }) {
			return domain.Refusef(domain.Invalid, "an address stands twice")
		}
	}
	return nil
}

// send sends one letter and records what became of it, also if the caller has gone meanwhile.
func (l *Letters) send(ctx context.Context, c Caller, id string, t enrollment.Terms, to string) (Sent, eventstore.Position, error) {
	posted, err := l.Post.Send(ctx, Letter{
		To: to, Link: l.Link(id), Organization: l.Organization, Invitation: t.Name, Limit: t.Uses, Until: t.Expires,
	})
	sent := Sent{Invitation: id, To: to, File: posted.File}
	var what domain.Event = enrollment.Mailed{By: posted.By, ID: posted.ID, Recipient: to}
	if failed, is := errors.AsType[*Undelivered](err); is {
		sent.Problem = failed.Text
		what = enrollment.MailFailed{By: posted.By, Code: failed.Code, Recipient: to, ErrorText: failed.Text}
	} else if err != nil {
		return sent, 0, err
	}
	change, err := l.Invitations.Invitations.Update(context.WithoutCancel(ctx), id, Meta(ctx, c), func(enrollment.Invitation, time.Time) ([]domain.Event, error) {
		return []domain.Event{what}, nil
	})
	return sent, change.Position, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers"
)

// invitationCmd lets devices in: it makes invitations, shows their links, and mails them.
type invitationCmd struct {
	Make invitationMakeCmd `cmd:"" help:"Make an invitation and show its link, or make one for each address and mail it."`
	Show invitationShowCmd `cmd:"" help:"Show the link of an invitation, and the same for a camera."`
	Mail invitationMailCmd `cmd:"" help:"Mail the link of an invitation that there is."`
}

type invitationMakeCmd struct {
	served
	Name  string        `arg:"" help:"What it is called: whoever uses it reads that."`
	ID    string        `name:"id" placeholder:"ID" help:"By what it is known; a random one if not set."`
	Road  []string      `placeholder:"ROAD" help:"On which it may be used: some of profile, ota, ade, account; all if not set."`
	Limit int           `default:"1" help:"How many devices may come in by it; any number for 0."`
	For   time.Duration `default:"336h" help:"How long it is good; for ever for 0."`
	Group string        `placeholder:"ID" help:"The group that devices join."`
	To    []string      `name:"mail" placeholder:"ADDRESS" help:"Who gets one by mail, each another."`
}

// Run fulfils kong's command.
func (c *invitationMakeCmd) Run(ctx context.Context) error {
	about := map[string]any{"name": c.Name, "limit": c.Limit}
	if len(c.Road) > 0 {
		about["roads"] = strings.Split(strings.ToUpper(strings.Join(c.Road, ",")), ",")
	}
	if c.For > 0 {
		about["expiresAt"] = time.Now().Add(c.For).UTC().Format(time.RFC3339)
	}
	if c.Group != "" {
		about["group"] = c.Group
	}
	if len(c.To) > 0 {
		if c.ID != "" || c.For == 0 {
			return errors.New("whoever is invited by mail gets an invitation of his own, which ends: leave out --id, and --for 0")
		}
		return c.mail(ctx, about)
	}
	if c.ID != "" {
		about["id"] = c.ID
	}
	var told struct{ Invite struct{ ID string } }
	if err := c.query(ctx, `mutation($id: ID, $name: String!, $roads: [Road!], $limit: Int, $expiresAt: Time, $group: ID) {
		invite(id: $id, name: $name, roads: $roads, limit: $limit, expiresAt: $expiresAt, group: $group) { id } }`, about, &told); err != nil {
		return err
	}
	return c.show(ctx, os.Stdout, told.Invite.ID)
}

// letter is what is asked of one that was sent.
const letter = `{ to sent file problem invitation { id } }`

// A sentLetter is the answer to that.
type sentLetter struct {
	To, File, Problem string
	Sent              bool
	Invitation        struct{ ID string }
}

func (c *invitationMakeCmd) mail(ctx context.Context, about map[string]any) error {
	about["to"] = c.To
	var told struct{ InviteByMail []sentLetter }
	if err := c.query(ctx, `mutation($to: [String!]!, $name: String!, $roads: [Road!], $limit: Int, $expiresAt: Time, $group: ID) {
		inviteByMail(to: $to, name: $name, roads: $roads, limit: $limit, expiresAt: $expiresAt, group: $group) `+letter+` }`, about, &told); err != nil {
		return err
	}
	return tellLetters(os.Stdout, told.InviteByMail)
}

// tellLetters says what became of letters. It fails if one did not go.
func tellLetters(out io.Writer, all []sentLetter) error {
	failed := 0
	for _, l := range all {
		switch {
		case !l.Sent:
			failed++
			fmt.Fprintf(out, "%s: not sent: %s; try again with: rollcall invitation mail %s %s\n", l.To, l.Problem, l.Invitation.ID, l.To)
		case l.File != "":
			fmt.Fprintf(out, "%s: written to %s, for no mail server is set (--smtp)\n", l.To, l.File)
		default:
			fmt.Fprintf(out, "%s: sent (invitation %s)\n", l.To, l.Invitation.ID)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d letters did not go", failed, len(all))
	}
	return nil
}

type invitationShowCmd struct {
	served
	ID string `arg:"" default:"default" help:"The invitation's id; ${default} if not said."`
}

// Run fulfils kong's command.
func (c *invitationShowCmd) Run(ctx context.Context) error { return c.show(ctx, os.Stdout, c.ID) }

// show prints an invitation's link: to be read, and for a camera.
func (s *served) show(ctx context.Context, out io.Writer, id string) error {
	var told struct {
		EnrolmentLink string
		Invitation    *struct{ Name string }
	}
	if err := s.query(ctx, `query($id: ID!) { enrolmentLink(invitation: $id) invitation(id: $id) { name } }`, map[string]any{"id": id}, &told); err != nil {
		return err
	}
	if told.Invitation == nil {
		return fmt.Errorf("there is no invitation %s: rollcall invitation make makes one", id)
	}
	code, err := handlers.NewQR(told.EnrolmentLink)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n%s", told.EnrolmentLink, code.Text())
	return err
}

type invitationMailCmd struct {
	served
	ID string   `arg:"" help:"The invitation's id."`
	To []string `arg:"" help:"Addresses; all who get it share its limit."`
}

// Run fulfils kong's command.
func (c *invitationMailCmd) Run(ctx context.Context) error {
	var told struct{ MailInvitation []sentLetter }
	if err := c.query(ctx, `mutation($id: ID!, $to: [String!]!) { mailInvitation(id: $id, to: $to) `+letter+` }`, map[string]any{"id": c.ID, "to": c.To}, &told); err != nil {
		return err
	}
	return tellLetters(os.Stdout, told.MailInvitation)
}

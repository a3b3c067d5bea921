package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
	"github.com/rollcall-mdm/rollcall/projections"
)

// Library is the use case of people who keep configuration profiles, and of whoever delivers them.
type Library struct {
	Profiles *eventstore.Repository[profile.Kept, domain.Event]
	Things   *eventstore.Repository[wanted.Thing, domain.Event]
	Views    *projections.Views
	Stamp    domain.Stamp // makes revisions of contents
}

// ReadDraft reads a configuration profile: XML or binary, signed or not. What is signed is opened, and its signature must fit
// it; who signed is told, not judged.
func ReadDraft(content []byte) (d profile.Draft, err error) {
	d.Content = content
	text := content
	if cms.Signed(content) {
		inside, signer, err := cms.Content(content)
		if err != nil {
			return d, domain.WithHint(domain.Refusef(domain.Invalid, "the profile is signed, and cannot be opened: %v", err), "take it without its signature, or have it signed anew")
		}
		text, d.SignedBy = inside, signer.Subject.String()
		sum := sha256.Sum256(signer.Raw)
		d.Signer = hex.EncodeToString(sum[:])
	}
	if err := plist.Unmarshal(text, &d.Values); err != nil {
		if _, why := plist.ToJSON(text); why != nil {
			err = why
		}
		return d, domain.WithHint(domain.Refusef(domain.Invalid, "the profile cannot be read: %v", err), "give a .mobileconfig as it is: XML, signed or not")
	}
	return d, nil
}

// Put adds a version to the library; its PayloadIdentifier names the profile. force is for administrators, as all of it. It
// returns the position after which views show it; 0 if it is the newest version already.
func (l *Library) Put(ctx context.Context, c Caller, content []byte, force bool) (identifier string, at eventstore.Position, err error) {
	if err := c.Administer(); err != nil {
		return "", 0, err
	}
	draft, err := ReadDraft(content)
	if err != nil {
		return "", 0, err
	}
	identifier, _ = draft.Values["PayloadIdentifier"].(string)
	if identifier == "" {
		return "", 0, domain.Refusef(domain.Invalid, "the profile has no PayloadIdentifier")
	}
	change, err := l.Profiles.Update(ctx, identifier, Meta(ctx, c), func(k profile.Kept, _ time.Time) ([]domain.Event, error) {
		return k.Store(draft, force, l.Stamp.Of(profile.Kind, identifier))
	})
	return identifier, change.Position, err
}

// Withdraw takes a profile out of the library; its history stays. One that devices are to have from there stays.
func (l *Library) Withdraw(ctx context.Context, c Caller, identifier, reason string) (eventstore.Position, error) {
	if err := c.Administer(); err != nil {
		return 0, err
	}
	thing, _, err := l.Things.Load(ctx, wanted.Profile+"/"+identifier)
	if err != nil {
		return 0, fmt.Errorf("read what is wanted: %w", err)
	}
	if thing.Version != "" && !thing.Withdrawn {
		return 0, domain.WithHint(domain.Refusef(domain.Conflict, "devices are to have this profile from the library"), "withdrawWanted first: it is then removed from them")
	}
	change, err := l.Profiles.Update(ctx, identifier, Meta(ctx, c), func(k profile.Kept, _ time.Time) ([]domain.Event, error) {
		return k.Withdraw(reason)
	})
	return change.Position, err
}

// Version returns one version of a profile: a number, or latest.
func (l *Library) Version(ctx context.Context, identifier, which string) (profile.Version, error) {
	k, _, err := l.Profiles.Load(ctx, identifier)
	if err != nil {
		return profile.Version{}, fmt.Errorf("read a profile of the library: %w", err)
	}
	return k.Version(which)
}

// Wanted returns the content of a wanted thing that is a profile of the library.
func (l *Library) Wanted(ctx context.Context, identifier, which string) (wanted.Content, error) {
	v, err := l.Version(ctx, identifier, which)
	if err != nil {
		return wanted.Content{}, err
	}
	if which == "" {
		which = wanted.Latest
	}
	shown, err := json.Marshal(map[string]any{"PayloadDisplayName": v.Name, "PayloadUUID": v.UUID})
	return wanted.Content{UUID: v.UUID, Version: which, Revision: v.Revision, Shown: shown}, err
}

// Fill returns a version as a channel of a device is to have it: byte by byte as it was put if it has no variables;
// otherwise these are filled, and a signature, which would not fit any more, is left away. It is refused if nothing is known for
// one of them.
func (l *Library) Fill(ctx context.Context, v profile.Version, d projections.Device, channel device.ChannelID) ([]byte, error) {
	if len(v.Content) == 0 {
		return nil, domain.Refusef(domain.Conflict, "the profile's content cannot be opened: its keys are gone")
	}
	if len(v.Variables) == 0 {
		return v.Content, nil
	}
	draft, err := ReadDraft(v.Content)
	if err != nil {
		return nil, err
	}
	users, err := l.Views.Users(ctx, d.ID, projections.Now)
	if err != nil {
		return nil, fmt.Errorf("list the users of a device: %w", err)
	}
	account, err := l.account(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	filled, err := profile.Fill(draft.Values, known(d, users, channel, account))
	if err != nil {
		return nil, err
	}
	return WriteProfile(filled)
}

// account is that of whoever signed in to bring a device; empty if nobody did.
func (l *Library) account(ctx context.Context, device string) (account string, err error) {
	list, err := l.Views.Facts(ctx, device, "enrollment.account", projections.Now)
	if err != nil {
		return "", fmt.Errorf("read who has brought a device: %w", err)
	}
	for _, f := range list {
		if f.Key == "enrollment.account" {
			err = json.Unmarshal(f.Value, &account)
		}
	}
	return account, err
}

// known is what variables are filled from.
func known(d projections.Device, users []projections.UserChannel, channel device.ChannelID, account string) map[string]string {
	all := map[string]string{
		profile.SerialNumber: d.SerialNumber, profile.UDID: d.UDID, profile.DeviceName: d.Name, profile.ProductName: d.ProductName,
		profile.Model: d.Model, profile.ModelName: d.ModelName, profile.OSVersion: d.OSVersion, profile.BuildVersion: d.BuildVersion,
		profile.IMEI: d.IMEI, profile.EnrollmentID: d.EnrollmentID, profile.Account: account,
	}
	for _, u := range users {
		if u.ID == channel || channel == "" && len(users) == 1 {
			all[profile.ShortName], all[profile.FullName] = u.ShortName, u.LongName
		}
	}
	return all
}

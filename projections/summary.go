package projections

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/escrow"
	"github.com/rollcall-mdm/rollcall/domain/export"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/domain/issuance"
	"github.com/rollcall-mdm/rollcall/domain/masterkey"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/domain/trust"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

// A Scene is what a summary needs to know beside the event: names, and what became of the command.
type Scene struct {
	Actor  string // who caused the event
	Device string // which device it is about
	User   string // of the channel; empty for the device's own
	Group  string // which group it is about

	Declaration string    // which declaration it is about
	Time        time.Time // of the event
	Command     *Command  // that the event speaks of, as it stands today; nil if unknown
}

// Summarise tells an event in one sentence for a person, with the names of its time and, for an order, what became
// of it. A device that had no name yet is called as it is today. A nil event, one that could not be opened, is told by its
// envelope. Where the server's clock had been set back, it says so.
func (v *Views) Summarise(ctx context.Context, env eventstore.Envelope, e domain.Event) (sentence string, err error) {
	err = v.read(ctx, func(tx Tx) error {
		scene, err := sceneOf(tx, env, e)
		if err != nil {
			return err
		}
		if sentence = Summary(e, scene); e == nil {
			sentence = fmt.Sprintf("an event that this program does not know (%s): a newer one wrote it", env.Type)
		}
		flag, err := setBack(tx, env)
		sentence += flag
		return err
	})
	return sentence, err
}

func sceneOf(tx Tx, env eventstore.Envelope, e domain.Event) (s Scene, err error) {
	s.Time = env.Time
	if env.Stream.Kind == device.Kind {
		if err := s.stage(tx, env, e); err != nil {
			return s, err
		}
	}
	switch e := e.(type) {
	case certificate.Bound:
		s.Device, err = labelOf(tx, e.Device, env.Position)
	case operator.TokenRevoked:
		_, err = one(tx, `SELECT name FROM operators WHERE id = ?`, []any{env.Stream.ID}, func(r Row) { s.User = r.Text(0) })
	case declaration.Put, declaration.Assigned, declaration.Unassigned, declaration.Withdrawn,
		wanted.Put, wanted.Assigned, wanted.Unassigned, wanted.Withdrawn, enrollment.Withdrawn, enrollment.Admitted, enrollment.Mailed, enrollment.MailFailed,
		profile.Stored, profile.Withdrawn:
		s.Declaration = env.Stream.ID
	case bulk.Ordered:
		s.Group = e.Group
		_, err = one(tx, `SELECT name FROM groups WHERE id = ? AND since <= ? ORDER BY since DESC LIMIT 1`,
			[]any{e.Group, int64(env.Position)}, func(r Row) { s.Group = r.Text(0) })
	case group.MembersAdded, group.MembersRemoved, group.Deleted:
		s.Group = env.Stream.ID
		_, err = one(tx, `SELECT name FROM groups WHERE id = ? AND since <= ? ORDER BY since DESC LIMIT 1`,
			[]any{env.Stream.ID, int64(env.Position)}, func(r Row) { s.Group = r.Text(0) })
	}
	s.Actor = actorLabel(env.Actor, s.Device)
	return s, err
}

// stage finds the device, the user and the command.
func (s *Scene) stage(tx Tx, env eventstore.Envelope, e domain.Event) (err error) {
	if s.Device, err = labelOf(tx, env.Stream.ID, env.Position); err != nil {
		return err
	}
	number, err := idOf(tx, devices, env.Stream.ID)
	if err != nil {
		return err
	}
	if channel := channelOf(e); channel != "" {
		if s.User, err = userLabel(tx, number, string(channel)); err != nil {
			return err
		}
	}
	uuid := uuidOf(e)
	if uuid == "" {
		return nil
	}
	list, err := commandsWhere(tx, ` WHERE c.uuid = ? AND c.device = ? AND c.position <= ? ORDER BY c.position DESC LIMIT 1`,
		uuid, number, int64(env.Position))
	if len(list) > 0 {
		s.Command = &list[0]
	}
	return err
}

// labelOf returns what people called a device at a position, or call it today if it had no name then.
func labelOf(tx Tx, pseudonym string, at eventstore.Position) (string, error) {
	d := Device{ID: pseudonym}
	number, err := idOf(tx, devices, pseudonym)
	for _, moment := range []eventstore.Position{at, Now} {
		if err != nil || number == 0 || d.Name != "" {
			break
		}
		_, err = one(tx, `SELECT name, model_name, serial FROM fleet_spans WHERE device = ? AND since <= ? ORDER BY since DESC LIMIT 1`,
			[]any{number, int64(moment)}, func(r Row) { d.Name, d.ModelName, d.SerialNumber = r.Text(0), r.Text(1), r.Text(2) })
	}
	return d.Label(), err
}

func userLabel(tx Tx, number int64, channel string) (label string, err error) {
	label = channel[:min(8, len(channel))]
	id, err := idOf(tx, channels, channel)
	if err != nil || id == 0 {
		return label, err
	}
	_, err = one(tx, `SELECT short_name, long_name, user_id FROM fleet_users WHERE device = ? AND channel = ?
		ORDER BY since DESC LIMIT 1`, []any{number, id}, func(r Row) {
		for i := range 3 {
			if r.Text(i) != "" {
				label = r.Text(i)
				return
			}
		}
	})
	return label, err
}

func actorLabel(a eventstore.Actor, itself string) string {
	switch {
	case a.Name != "":
		return a.Name
	case a.Kind == eventstore.ByDevice && itself != "":
		return itself
	case a.Kind == eventstore.ByApple:
		return "Apple"
	case a.ID != "":
		return string(a.Kind) + " " + a.ID
	case a.Kind == eventstore.ByWorker:
		return "the server"
	}
	return "somebody"
}

// target is the device, and the user if it is his channel.
func (s Scene) target() string {
	name := s.Device
	if name == "" {
		name = "a device"
	}
	if s.User != "" {
		name += " (user " + s.User + ")"
	}
	return name
}

// Summary tells an event in one sentence, without a full stop.
func Summary(e domain.Event, s Scene) string {
	var sentence string
	switch e.(type) {
	case nil:
		sentence = "an event that cannot be opened, of " + s.target()
	case operator.TokenCreated, operator.TokenRevoked, pushcert.Stored, pushcert.Expiring, pushcert.Requested, certificate.Bound, stranger.MessageRefused,
		trust.AuthorityTrusted, trust.AuthorityWithdrawn, export.Disclosed, masterkey.Rotated, escrow.PairMade:
		sentence = summariseHouse(e, s)
	case authority.RootInstalled, authority.RootRetired, authority.RootExpiring, authority.CertificateRevoked, issuance.Signed, challenge.Vouched, challenge.Used, challenge.Answered,
		certificate.Issued, certificate.RenewalOverdue, enrollment.Invited, enrollment.Withdrawn, enrollment.Admitted, enrollment.Mailed, enrollment.MailFailed:
		sentence = summariseIdentity(e, s)
	case declaration.Put, declaration.Assigned, declaration.Unassigned, declaration.Withdrawn:
		sentence = summariseDeclaration(e, s)
	case wanted.Put, wanted.Assigned, wanted.Unassigned, wanted.Withdrawn, device.WantedOrdered, device.WantedRefused, device.WantedRetried,
		profile.Stored, profile.Withdrawn:
		sentence = summariseWanted(e, s)
	case group.Created, group.Changed, group.MembersAdded, group.MembersRemoved, group.Deleted:
		sentence = summariseGroup(e, s)
	case device.CommandQueued, device.CommandDelivered, device.CommandAcknowledged, device.CommandFailed,
		device.CommandFormatRejected, device.CommandDeferred, device.CommandCancelled, device.CommandSuperseded,
		device.CommandExpired, device.ResultUnmatched:
		sentence = summariseCommand(e, s)
	case bulk.Ordered, bulk.MembersNamed, bulk.PassedOn, bulk.Cancelled:
		sentence = summariseBulk(e, s)
	case device.QueueHeld, device.QueueReleased, device.CommandHeld, device.CommandReleased,
		device.UnenrolmentOrdered, device.UnenrolmentWithdrawn, device.TurnedAway, device.Quarantined, device.QuarantineLifted:
		sentence = summariseHold(e, s)
	case device.PushRequested, device.PushAccepted, device.PushRefused, device.PresumedUnmanaged, device.Seen:
		sentence = summariseWaking(e, s)
	default:
		sentence = summariseCheckIn(e, s)
	}
	if sentence == "" {
		sentence = e.EventType() + " of " + s.target()
	}
	for _, name := range []string{s.Device, s.Actor} {
		if name != "" && strings.HasPrefix(sentence, name) {
			return sentence // an iPad is no IPad
		}
	}
	return strings.ToUpper(sentence[:1]) + sentence[1:]
}

func summariseHouse(e domain.Event, s Scene) string {
	switch e := e.(type) {
	case operator.TokenCreated:
		until := ""
		if !e.Expires.IsZero() {
			until = ", good until " + stamp(e.Expires)
		}
		return fmt.Sprintf("%s made an API token for %s with the role %s%s", s.Actor, e.Name, e.Role, until)
	case operator.TokenRevoked:
		return fmt.Sprintf("%s revoked the API token of %s%s", s.Actor, or(s.User, "somebody"), because(e.Reason))
	case pushcert.Stored:
		what := "stored a push certificate"
		if e.Renewal {
			what = "renewed the push certificate"
		}
		return fmt.Sprintf("%s %s for %s, good until %s", s.Actor, what, e.Topic, stamp(e.NotAfter))
	case pushcert.Requested:
		what := "a push certificate"
		if e.Topic != "" {
			what = "the renewal of the push certificate for " + e.Topic
		}
		return fmt.Sprintf("%s made a key and a request for %s (key %s)", s.Actor, what, short(e.ID))
	case pushcert.Expiring:
		if e.Days == 0 {
			return fmt.Sprintf("the push certificate for %s ended on %s: its devices cannot be woken", e.Topic, stamp(e.NotAfter))
		}
		return fmt.Sprintf("the push certificate for %s ends on %s, in %s or less", e.Topic, stamp(e.NotAfter), days(e.Days))
	case certificate.Bound:
		return "a certificate speaks for " + s.target() + " from now on, and for no other"
	case trust.AuthorityTrusted:
		return fmt.Sprintf("certificates that %s (%.8s) has issued are believed from now on", or(e.Subject, "an authority"), e.Fingerprint)
	case trust.AuthorityWithdrawn:
		return fmt.Sprintf("certificates of the authority %.8s are no longer believed", e.Fingerprint)
	case export.Disclosed:
		return fmt.Sprintf("%s disclosed sealed parts (%s) of %d events to %s%s", s.Actor, strings.Join(e.Parts, ", "), e.Events, or(e.Recipient, "somebody"), because(e.Reason))
	case escrow.PairMade:
		return fmt.Sprintf("%s had the server make a key pair for FileVault recovery keys (%s)%s", s.Actor, short(e.Fingerprint), because(e.Reason))
	case masterkey.Rotated:
		return fmt.Sprintf("%s changed the master key: %s (%s) wraps the data keys of %d subjects%s", s.Actor, e.Master, e.Source, e.Subjects, because(e.Reason))
	case stranger.MessageRefused:
		more := ""
		if e.Unkept > 0 {
			more = fmt.Sprintf(", and %d more that were not kept", e.Unkept)
		}
		return fmt.Sprintf("a stranger's message to %s was refused%s%s", e.Path, because(e.Reason), more)
	}
	return ""
}

func summariseWaking(e domain.Event, s Scene) string {
	who := s.target()
	switch e := e.(type) {
	case device.PushRequested:
		return fmt.Sprintf("%s asked Apple to wake %s", s.Actor, who)
	case device.PushAccepted:
		if e.Attempt > 1 {
			return fmt.Sprintf("Apple took a push for %s, attempt %d", who, e.Attempt)
		}
		return "Apple took a push for " + who
	case device.PushRefused:
		what := fmt.Sprintf("Apple refused a push for %s%s", who, because(e.Reason))
		if e.Status == 0 {
			what = fmt.Sprintf("a push for %s did not reach Apple%s", who, because(e.Reason))
		}
		if e.Final {
			what += "; no more until a new token"
		}
		return what
	case device.PresumedUnmanaged:
		return who + " is presumed to be no longer managed" + because(e.Reason)
	case device.Seen:
		if e.Polls > 1 {
			return fmt.Sprintf("%s called, %s since it was last told of, and nothing waited", who, times(e.Polls))
		}
		return who + " called, and nothing waited"
	}
	return ""
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func days(n int) string {
	if n == 1 {
		return "a day"
	}
	return fmt.Sprintf("%d days", n)
}

func short(fingerprint string) string { return or(fingerprint[:min(8, len(fingerprint))], "unknown") }

// firstError returns the first description in an ErrorChain; without one its domain and code, as much as there is.
func firstError(chain json.RawMessage) string {
	links, err := rawjson.Elements(chain)
	if err != nil || len(links) == 0 {
		return ""
	}
	for _, name := range []string{"USEnglishDescription", "LocalizedDescription"} {
		if raw, err := rawjson.Get(links[0], name); err == nil && text(raw) != "" {
			return strings.TrimSuffix(text(raw), ".")
		}
	}
	field, _ := rawjson.Get(links[0], "ErrorDomain") // absent: less is said
	code, _ := rawjson.Get(links[0], "ErrorCode")
	return strings.TrimSpace(text(field) + " " + strings.Trim(string(code), `"`))
}

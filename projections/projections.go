// Package projections answers questions: views of the log, folded from its events and thrown away at will.
//
// Views follows a log and keeps the tables of all views. A view is one file: the question it answers, the
// tables it keeps (in the file of SQL beside it), what it folds, and its queries. A checkpoint is committed with
// the rows, so that a view is never half way between two events. Views lag behind the log: whoever has just
// written calls Wait before reading.
//
// What can be asked as of a moment is kept in rows that say since when and until when they held, as positions.
// A moment is a position; PositionAt finds it for a time. Times never go back from one position to the next,
// even where the server's clock did: an event counts as no earlier than the one before it.
//
// Nothing of class S is in any view, for the codec that Run is given opens no secrets, and no view keeps push
// tokens or bodies of commands. What views hold otherwise is in the clear: their file is readable by the owner only.
//
// The tables serve one writer and many readers. Their SQL is what SQLite and PostgreSQL share; for PostgreSQL,
// INTEGER is read as BIGINT, and WITHOUT ROWID is left out.
package projections

import (
	_ "embed"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A view is one view's tables and fold.
type view struct {
	name    string
	version int // count it up when the tables or the fold change: the view is then built anew
	reads   int // the oldest version whose tables today's questions fit: it is served meanwhile; 1 if zero
	schema  string
	tables  []string
	fold    func(*names) folder
	sealed  func(domain.Event) bool         // whether the fold needs what is sealed of an event; never if nil
	skims   func(*eventstore.Envelope) bool // whether the fold needs of an event only its type; never if nil
}

// A folder writes events into a view's tables. It may keep rows in memory from one apply to the next flush.
type folder interface {
	apply(tx Tx, r *record) error
	flush(tx Tx) error // writes what is kept; called at the end of every transaction
	forget()           // the transaction was rolled back: whatever is kept may be wrong
}

// views lists all views. Commands comes first: it knows where a command stands, which others ask for.
func views() []view {
	return []view{
		{name: "commands", version: 1, schema: commandsSQL, tables: []string{"commands", "command_counts"}, fold: newCommands, sealed: commandsNeed},
		{name: "timeline", version: 1, schema: timelineSQL, tables: []string{"timeline"}, fold: newTimeline, sealed: nothing},
		{name: "fleet", version: 2, schema: fleetSQL, tables: []string{"fleet", "fleet_spans", "fleet_users", "fleet_users_seen"}, fold: newFleet, sealed: fleetNeeds, skims: fleetSkims},
		{name: "facts", version: 7, schema: factsSQL, tables: []string{"facts", "facts_past", "fact_values", "facts_partial"}, fold: newFacts, sealed: factsNeed},
		{name: "wakeups", version: 3, schema: wakeupsSQL, tables: []string{"wakeups"}, fold: newWakeups, sealed: nothing},
		{name: "operators", version: 1, schema: operatorsSQL, tables: []string{"operators"}, fold: newOperators, sealed: nothing},
		{name: "secrets", version: 4, schema: secretsSQL, tables: []string{"secrets", "secrets_past", "secrets_revealed", "locations"}, fold: newSecrets, sealed: secretsNeed},
		{name: "pushcerts", version: 2, schema: pushcertsSQL, tables: []string{"pushcerts", "pushcert_requests"}, fold: newPushcerts, sealed: pushcertsNeed},
		{name: "declarations", version: 1, schema: declarationsSQL, tables: []string{"declarations", "declaration_groups", "declaration_channels"}, fold: newDeclarations, sealed: declarationsNeed},
		{name: "managed", version: 1, schema: managedSQL, tables: []string{"managed", "managed_orders", "managed_lists"}, fold: newManaged, sealed: managedNeeds},
		{name: "wanted", version: 3, reads: 3, schema: wantedSQL, tables: []string{"wanted_things", "wanted_library", "wanted_groups", "wanted_states", "wanted_orders", "wanted_setup"}, fold: newWanted, sealed: wantedNeeds},
		{name: "profiles", version: 1, schema: profilesSQL, tables: []string{"profiles"}, fold: newProfiles, sealed: profilesNeed},
		{name: "groups", version: 1, schema: groupsSQL, tables: []string{"groups", "group_members"}, fold: newGroups, sealed: groupsNeed},
		{name: "bulk", version: 1, schema: bulkSQL, tables: []string{"bulk_orders", "bulk_commands", "bulk_refused"}, fold: newBulkOrders, sealed: bulkNeeds},
		{name: "invitations", version: 2, reads: 2, schema: invitationsSQL, tables: []string{"invitations", "invitation_keys", "sign_ins"}, fold: newInvitations, sealed: invitationsNeed},
		{name: "certificates", version: 4, schema: certificatesSQL, tables: []string{"certificates", "certificate_pins", "certificate_clones", "roots"}, fold: newCertificates, sealed: nothing},
		{name: "holds", version: 1, schema: holdsSQL, tables: []string{"holds"}, fold: newHolds, sealed: holdsNeed},
	}
}

// A record is one event on its way into the views, opened once for all of them.
type record struct {
	env      eventstore.Envelope
	event    domain.Event // nil if it could not be opened
	position int64
	at       int64  // its time, in microseconds, never before that of an earlier position
	device   int64  // number of the device; 0 if the stream is no device's
	command  int64  // position of the CommandQueued it speaks of; 0 if it speaks of none that is known
	uuid     string // of the command it speaks of
	spoken   bool   // the device itself caused it: a proof of life
	revived  bool   // and had been given up before
}

// channel returns the channel that a device's event belongs to.
func (r *record) channel() device.ChannelID { return channelOf(r.event) }

// microseconds is a time as tables hold it; 0 for the zero time.
func microseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment reads a time of a table.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

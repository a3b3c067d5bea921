package graphql

import (
	"context"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// passwordMutations are those that need a password, and spare whoever asks to invent one.
func (t *types) passwordMutations() graphql.Fields {
	takes := func() graphql.FieldConfigArgument {
		return graphql.FieldConfigArgument{
			"device": arg("UDID, EnrollmentID or serial number.", must(graphql.ID)), "reason": arg("Why, for those who read the log.", graphql.String),
		}
	}
	all := graphql.Fields{}
	for kind, m := range map[device.SecretKind]struct{ name, about string }{
		device.RecoveryLock:     {"RecoveryLock", "the lock of macOS Recovery (Apple silicon)"},
		device.FirmwarePassword: {"FirmwarePassword", "the firmware password (Intel)"},
	} {
		all["rotate"+m.name] = root("Orders a new password of the server's making for "+m.about+"; the one before counts until the Mac has acknowledged it.", must(t.command), takes(),
			ordering(func(ctx context.Context, r *run, a args, id string) (string, eventstore.Position, error) {
				return r.Passwords.Rotate(ctx, r.caller, id, kind, a.text("reason"))
			}))
		all["clear"+m.name] = root("Orders that a Mac is to have no password any more for "+m.about+".", must(t.command), takes(),
			ordering(func(ctx context.Context, r *run, a args, id string) (string, eventstore.Position, error) {
				return r.Passwords.Clear(ctx, r.caller, id, kind, a.text("reason"))
			}))
		all["check"+m.name] = root("Asks a Mac whether the password that the server knows is the right one for "+m.about+".", must(t.command), takes(),
			ordering(func(ctx context.Context, r *run, a args, id string) (string, eventstore.Position, error) {
				return r.Passwords.Verify(ctx, r.caller, id, kind, a.text("reason"))
			}))
	}
	lock := takes()
	lock["message"], lock["phoneNumber"] = arg("Shown on its screen.", graphql.String), arg("Shown on its screen.", graphql.String)
	all["lockMac"] = root("Locks a Mac with a PIN of six digits of the server's making; revealSecret shows it.", must(t.command), lock,
		ordering(func(ctx context.Context, r *run, a args, id string) (string, eventstore.Position, error) {
			return r.Passwords.Lock(ctx, r.caller, id, a.text("message"), a.text("phoneNumber"), a.text("reason"))
		}))
	return all
}

// ordering answers a mutation that orders one command for one device with that command.
func ordering(order func(ctx context.Context, r *run, a args, deviceID string) (uuid string, at eventstore.Position, err error)) func(context.Context, *run, args) (any, error) {
	return func(ctx context.Context, r *run, a args) (any, error) {
		d, err := r.target(ctx, a.text("device"))
		if err != nil {
			return nil, err
		}
		uuid, at, err := order(ctx, r, a, d.ID)
		if err != nil {
			return nil, err
		}
		return r.first(ctx, d.ID, uuid, at)
	}
}

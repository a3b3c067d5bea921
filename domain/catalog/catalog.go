// Package catalog lists every event that Rollcall ever writes, by its stored name.
package catalog

import (
	"slices"

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
)

// Events lists all events by their zero values.
func Events() []domain.Event {
	return slices.Concat(device.Events(), certificate.Events(), operator.Events(), pushcert.Events(), stranger.Events(),
		group.Events(), bulk.Events(), declaration.Events(), trust.Events(),
		wanted.Events(), export.Events(), masterkey.Events(), escrow.Events(),
		authority.Events(), issuance.Events(), challenge.Events(), enrollment.Events(), profile.Events())
}

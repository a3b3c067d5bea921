package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
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
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/auth"
	"github.com/rollcall-mdm/rollcall/handlers/mdm"
)

// A house is what stands in a data directory: the log, its keys, and the aggregates that are folded from it.
type house struct {
	dir        string
	now        func() time.Time
	keys       keyring
	shares     *sharing     // nil if the keys are in the directory
	custody    seal.Custody // of the master key
	log        eventstore.Log
	tree       ledger.Tree // over the log's events
	index      func(context.Context) error
	shared     bool // other servers may append to the log
	snapshots  *embedded.Snapshots[device.Device]
	codec      *seal.Codec[domain.Event]
	pseudonyms seal.Pseudonyms
	logger     *slog.Logger
	closing    chan struct{} // closed when the house is about to be
	elsewhere  *erasures     // by other servers

	devices      *eventstore.Repository[device.Device, domain.Event]
	certificates *eventstore.Repository[certificate.Certificate, domain.Event]
	authorities  *eventstore.Repository[authority.Authority, domain.Event]
	issuances    *eventstore.Repository[issuance.Issuance, domain.Event]
	challenges   *eventstore.Repository[challenge.Challenge, domain.Event]
	invitations  *eventstore.Repository[enrollment.Invitation, domain.Event]
	strangers    *eventstore.Repository[mdm.Nobody, domain.Event]
	operators    *eventstore.Repository[operator.Token, domain.Event]
	pushcerts    *eventstore.Repository[pushcert.PushCertificate, domain.Event]
	pushRequests *eventstore.Repository[pushcert.Request, domain.Event]
	groups       *eventstore.Repository[group.Group, domain.Event]
	declarations *eventstore.Repository[declaration.Declaration, domain.Event]
	wanted       *eventstore.Repository[wanted.Thing, domain.Event]
	profiles     *eventstore.Repository[profile.Kept, domain.Event]
	masterkeys   *eventstore.Repository[masterkey.MasterKey, domain.Event]
	escrows      *eventstore.Repository[escrow.Escrow, domain.Event]
	bulks        *eventstore.Repository[bulk.Order, domain.Event]
	exports      *eventstore.Repository[export.Export, domain.Event]
	tokens       *auth.Tokens
}

// openHouse opens a data directory, and makes in it what is missing.
func openHouse(ctx context.Context, o opening, now func() time.Time) (*house, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	h := &house{dir: o.Dir, now: now, logger: o.Logger, shared: !o.embedded(), closing: make(chan struct{}), elsewhere: newErasures()}
	if err := h.open(ctx, o); err != nil {
		return nil, errors.Join(err, h.close())
	}
	h.gather()
	if err := h.finishErasures(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *house) open(ctx context.Context, o opening) error {
	log, err := o.openShelf(ctx, h.path)
	if err != nil {
		return err // first: it also makes sure that no other process is at home here
	}
	h.log, h.tree, h.index = log.Log, log.tree, log.index
	if h.elsewhere.since, err = h.log.Head(ctx); err != nil {
		return err
	}
	if err := h.checkKeys(ctx, o.keeping); err != nil {
		return err
	}
	if err := h.openKeys(ctx, o.keeping); err != nil {
		return err
	}
	if h.pseudonyms, err = seal.OpenPseudonyms(h.path("index.key")); err != nil {
		return err
	}
	h.codec = &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: h.keys, Upcasts: catalog.Upcasts()}
	if h.shared {
		h.codec.Notice = h.noticeErasure
	}
	blobs := seal.Blobs{Keys: h.keys}
	h.snapshots, err = embedded.OpenSnapshots[device.Device](h.path("snapshots.db"), embedded.SnapshotOptions{
		Fold: fmt.Sprintf("device/%d", device.Fold), Seal: blobs.SealBlob, Open: blobs.OpenBlob, Logger: h.logger,
	})
	return err
}

// gather makes the repositories.
func (h *house) gather() {
	h.devices = repository(h, device.Kind, device.Device.Evolve)
	h.devices.Size, h.devices.Snapshots, h.devices.CacheSize = device.Size, h.snapshots, 32<<20
	h.certificates = repository(h, certificate.Kind, certificate.Certificate.Evolve)
	h.certificates.CacheSize = 8 << 20
	h.certificates.Size = func(certificate.Certificate) int { return 350 }
	h.authorities = repository(h, authority.Kind, authority.Authority.Evolve)
	h.issuances = repository(h, issuance.Kind, issuance.Issuance.Evolve)
	h.issuances.CacheSize, h.issuances.Size = 1<<20, func(issuance.Issuance) int { return 2 << 10 }
	h.challenges = repository(h, challenge.Kind, challenge.Challenge.Evolve)
	h.challenges.CacheSize = 1 << 20
	h.invitations = repository(h, enrollment.Kind, enrollment.Invitation.Evolve)
	h.invitations.CacheSize, h.invitations.Size = 8<<20, func(enrollment.Invitation) int { return 16 << 10 }
	h.strangers = repository(h, stranger.Kind, mdm.Nobody.Evolve)
	h.operators = repository(h, operator.Kind, operator.Token.Evolve)
	h.pushcerts = repository(h, pushcert.Kind, pushcert.PushCertificate.Evolve)
	h.pushRequests = repository(h, pushcert.RequestKind, pushcert.Request.Evolve)
	h.groups = repository(h, group.Kind, group.Group.Evolve)
	h.groups.Size = group.Size
	h.declarations = repository(h, declaration.Kind, declaration.Declaration.Evolve)
	h.declarations.Size, h.declarations.CacheSize = declaration.Size, 16<<20
	h.wanted = repository(h, wanted.Kind, wanted.Thing.Evolve)
	h.profiles = repository(h, profile.Kind, profile.Kept.Evolve)
	h.profiles.Size, h.profiles.CacheSize = profile.Size, 8<<20
	h.masterkeys = repository(h, masterkey.Kind, masterkey.MasterKey.Evolve)
	h.escrows = repository(h, escrow.Kind, escrow.Escrow.Evolve)
	h.bulks = repository(h, bulk.Kind, bulk.Order.Evolve)
	h.bulks.Size, h.bulks.CacheSize = bulk.Size, 16<<20
	h.exports = repository(h, export.Kind, export.Export.Evolve)
	h.tokens = &auth.Tokens{Operators: h.operators, Now: h.now, Logger: h.logger}
}

func repository[S any](h *house, kind string, fold func(S, domain.Event, time.Time) S) *eventstore.Repository[S, domain.Event] {
	return &eventstore.Repository[S, domain.Event]{Log: h.log, Codec: h.codec, Kind: kind, Fold: fold, Now: h.now, Logger: h.logger, Shared: h.shared}
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

// close ends the log first, so that nothing is acknowledged that the rest does not know.
func (h *house) close() error {
	if h.closing != nil {
		close(h.closing)
	}
	var errs []error
	if h.log != nil {
		errs = append(errs, h.log.Close())
	}
	if h.snapshots != nil {
		errs = append(errs, h.snapshots.Close())
	}
	if h.keys != nil {
		errs = append(errs, h.keys.Close())
	}
	if h.shares != nil {
		h.shares.leave()
	}
	return errors.Join(errs...)
}

// founder is who makes the first token of a new data directory.
var founder = handlers.Caller{ID: "first-start", Name: "the first start", Role: operator.Administrator}

// adminToken returns the file of the administrator's token, and makes both if the log is empty of tokens.
func (h *house) adminToken(ctx context.Context) (string, error) {
	file := h.path("admin-token")
	if _, err := os.Stat(file); err == nil {
		return file, h.tellToken(ctx)
	}
	if made, err := h.hasToken(ctx); made || err != nil {
		return "in the data directory of the server that was the first on this log", err
	}
	_, text, err := h.tokens.Create(ctx, founder, "administrator", operator.Administrator, time.Time{})
	if err != nil {
		return "", fmt.Errorf("make the administrator's token: %w", err)
	}
	if err := writeWhole(file, []byte(text+"\n")); err != nil {
		return "", fmt.Errorf("keep the administrator's token: %w", err)
	}
	return file, h.tellToken(ctx)
}

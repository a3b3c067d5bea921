package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"github.com/rollcall-mdm/rollcall/eventstore/lease"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// A keyring is where a house's data keys are.
type keyring interface {
	seal.Keyring
	Knows(ctx context.Context, subject seal.Subject) (bool, error)
	BeginErasing(ctx context.Context, subject seal.Subject) error
	LeaveErasing(ctx context.Context, subject seal.Subject) error
	Erasing(ctx context.Context) ([]seal.Subject, error)
	MasterKey() string
	Rotate(ctx context.Context, next seal.MasterKey, tell func(done int)) (count int, err error)
	Close() error
}

// A readKeyring is one that is only read.
type readKeyring interface {
	seal.Keyring
	Close() error
}

// shared reports whether servers share the data keys.
func (k keeping) shared() bool {
	scheme, _, _ := strings.Cut(k.Keys, "://")
	return scheme == "postgres" || scheme == "postgresql"
}

// checkKeyring refuses what no keys are kept in. It does not repeat the password.
func (k keeping) checkKeyring() error {
	switch {
	case k.Keys == "" || k.Keys == "file":
		return nil
	case !k.shared():
		return errors.New("--keys is no keyring: take file or postgres://USER:PASSWORD@HOST/DATABASE")
	}
	if err := seal.CheckShared(k.Keys); err != nil {
		return fmt.Errorf("--keys: %w", err)
	}
	return nil
}

// lease is what one at a time has of those that share the keys.
func (k keeping) lease(name string, h *house) lease.Lease {
	return lease.Lease{URL: k.Keys, Name: name, Logger: h.logger}
}

// openSharedKeys opens the keyring that servers share, and puts the files in the directory that they share too. Until share is
// called no other server starts: what is missing is made once.
func (h *house) openSharedKeys(ctx context.Context, k keeping) error {
	if _, err := os.Stat(h.path("keys.db")); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("there is a keys.db in %s: move its keys to PostgreSQL first, with rollcall keys move, or leave --keys out", h.dir))
	}
	release, err := k.lease("start", h).Lock(ctx)
	if err != nil {
		return err
	}
	h.shares = &sharing{dir: h.dir, lease: k.lease("start", h), release: release, roots: make(chan struct{}, 1)}
	keys, err := seal.OpenShared(ctx, seal.SharedOptions{URL: k.Keys, Logger: h.logger, Master: h.masterKey()})
	if err != nil {
		return err
	}
	h.keys, h.shares.keys = keys, keys
	return h.shares.begin(ctx, h.log, h.shared)
}

// masterKey opens the master key with an id: at the start as a directory's own, later as whatever another server has changed to.
func (h *house) masterKey() func(ctx context.Context, id string) (seal.MasterKey, error) {
	var started atomic.Bool
	return func(ctx context.Context, id string) (seal.MasterKey, error) {
		if started.Load() {
			return h.custody.Follow(ctx, id)
		}
		key, err := h.custody.OpenFor(ctx, id)
		if err == nil && id != "" && key.ID() != id || errors.Is(err, seal.ErrNoMasterKey) {
			key, err = h.custody.Follow(ctx, id)
		}
		started.Store(err == nil && id != "")
		return key, err
	}
}

// openKeys opens the keys for reading.
func (h *readHouse) openKeys(ctx context.Context, k keeping) (err error) {
	if !k.shared() {
		keys, err := seal.OpenReadKeyring(ctx, h.path("keys.db"), h.masterKey)
		if err == nil {
			h.keys = keys
		}
		return err
	}
	keys, err := seal.OpenShared(ctx, seal.SharedOptions{URL: k.Keys, Logger: h.logger, Master: h.masterKey, ReadOnly: true})
	if err != nil {
		return err
	}
	h.keys = keys
	return (&sharing{dir: h.dir, keys: keys}).pull(ctx)
}

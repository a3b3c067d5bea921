package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A storage says where the log is kept. Keys, views and checkpoints are in the data directory wherever that is.
type storage struct {
	Store string `default:"embedded" placeholder:"WHERE" help:"The event log: embedded, in the data directory; or an EventStoreDB, as esdb://USER:PASSWORD@HOST:2113 or esdb+discover://… (better in ROLLCALL_STORE than on the command line, which others can read)."`
}

// embedded reports whether the log stands in the data directory.
func (s storage) embedded() bool { return s.Store == "" || s.Store == "embedded" }

// checkStore refuses what no log is kept in. It does not repeat the password.
func (s storage) checkStore() error {
	if s.embedded() {
		return nil
	}
	scheme, _, _ := strings.Cut(s.Store, "://")
	if scheme != "esdb" && scheme != "esdb+discover" {
		return fmt.Errorf("--store %q is no log: take embedded, esdb://… or esdb+discover://…", scheme)
	}
	return errors.New("--store esdb is not available yet: take embedded")
}

// shown is the store without user and password, for people to read.
func (s storage) shown() string {
	if s.embedded() {
		return "embedded"
	}
	u, err := url.Parse(s.Store)
	if err != nil {
		return "EventStoreDB"
	}
	return u.Scheme + "://" + u.Host
}

// lockFiles are those that a process holds which works on a data directory.
var lockFiles = []string{"log.db.lock"}

// A shelf is a log with the tree over its events. One process at a time has it.
type shelf struct {
	eventstore.Log
	tree ledger.Tree
}

// An opening says which house is to be opened, and who is told what.
type opening struct {
	storage
	Dir     string
	Logger  *slog.Logger
	Metrics *metrics // none if nil
}

// openShelf opens the log. The embedded one also makes sure that no other process works on the directory.
func (o opening) openShelf(ctx context.Context, file func(string) string) (shelf, error) {
	if err := o.checkStore(); err != nil {
		return shelf{}, err
	}
	options := embedded.Options{Recent: 4 << 20, Logger: o.Logger}
	if o.Metrics != nil {
		options.Observe = o.Metrics.committed
	}
	log, err := embedded.Open(ctx, file("log.db"), options)
	if err != nil {
		return shelf{}, err
	}
	return shelf{log, log}, nil
}

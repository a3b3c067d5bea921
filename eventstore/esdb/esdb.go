// Package esdb keeps the log in EventStoreDB, for many servers at once.
//
// It stands on the official client, and between the client and us stands a pool that cures what is wrong with
// it: a client serves one call at a time, in a goroutine of ours, and whichever did not bring its call to a
// clean end is never used again. So a call obeys its context, a panic in the client is an error, and a server
// that went away and came back is found again.
//
// An event's Data is the event's data, readable in the database's own screens; all else that an envelope says
// is in the event's metadata, a JSON object. Positions are commit positions: they grow, with gaps. Events
// without our metadata, the database's own among them, are not ours, and are passed over. The database's user
// must be allowed to read $all, and to write to the streams.
package esdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// ErrTooLarge says that the events of one append are more than the server takes.
var ErrTooLarge = errors.New("more than the server takes in one append")

// A Log is an eventstore.Log in an EventStoreDB.
type Log struct {
	options Options
	pool    *pool
	leader  bool         // calls want the leader
	head    atomic.Int64 // the last position that is known to be ours
	away    atomic.Int64 // since when the server does not answer, in nanoseconds since 1970; 0 while it does
}

// Options tune a log. The zero value is good.
type Options struct {
	Connections   int            // how many appends and reads may be under way at once; 32 if zero. Followers come on top
	Patience      time.Duration  // how long a call is tried again while the server is away, a tenth of it once it was away so long; 30 s if zero
	Deadline      time.Duration  // how long one try may take; the connection string's defaultDeadline, or 10 s, if zero
	LargestAppend int            // bytes, the server's MaxAppendSize; 1 MiB if zero
	Observe       func(Appended) // is told of every append, by its caller: it must be quick; none if nil
	Logger        *slog.Logger   // slog.Default() if nil
}

// An Appended is what became of one append.
type Appended struct {
	Events int           // in it
	Bytes  int           // of their data
	Took   time.Duration // until the answer
	Err    error         // nil if they are durable; eventstore.ErrConflict, in a chain, if somebody was faster
}

func (o *Options) fill(config *client.Configuration) {
	if o.Connections == 0 {
		o.Connections = 32
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Deadline == 0 && config.DefaultDeadline != nil {
		o.Deadline = *config.DefaultDeadline
	}
	if o.Deadline == 0 {
		o.Deadline = 10 * time.Second
	}
	if o.LargestAppend == 0 {
		o.LargestAppend = 1 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// Open opens the log in the database that the connection string names:
//
//	esdb://user:password@host:2113?tls=true     one node
//	esdb://a:2113,b:2113,c:2113                 a cluster, by its nodes
//	esdb+discover://cluster.example.com:2113    a cluster, by its name
//
// The client's own settings may follow as a query (tlsCaFile, userCertFile, nodePreference, keepAliveInterval
// …), but for maxDiscoverAttempts: how long to try is Options.Patience. Open waits so long for the server.
// Close ends the log.
func Open(ctx context.Context, connectionString string, options Options) (*Log, error) {
	config, err := client.ParseConnectionString(connectionString)
	if err != nil {
		return nil, fmt.Errorf("read the connection string of the log: %w", discreet(err))
	}
	options.fill(config)
	config.Logger = clientLogger(options.Logger)
	config.MaxDiscoverAttempts, config.DiscoveryInterval = 1, 0 // it sleeps without looking at a context
	config.DefaultDeadline = &options.Deadline
	if config.DisableTLS && config.Username != "" {
		options.Logger.Warn("without TLS the user and the password are not sent to EventStoreDB")
	}
	l := &Log{
		options: options,
		pool:    newPool(config, options.Connections),
		leader:  config.NodePreference == client.NodePreferenceLeader,
	}
	if _, err := l.Head(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the log in EventStoreDB: %w", err), l.Close())
	}
	return l, nil
}

// discreet takes the connection string, and so the password, out of an error.
func discreet(err error) error {
	if bad, ok := errors.AsType[*url.Error](err); ok {
		return bad.Err
	}
	return err
}

// Close ends all followers and calls. An append under way may have happened although its caller gets
// eventstore.ErrClosed. A second Close does nothing.
func (l *Log) Close() error {
	l.pool.close()
	return nil
}

// note remembers that an event of ours stands at a position.
func (l *Log) note(at eventstore.Position) {
	for known := l.head.Load(); int64(at) > known; known = l.head.Load() {
		if l.head.CompareAndSwap(known, int64(at)) {
			return
		}
	}
}

// Package lease lets one of several servers do what only one at a time is to do.
//
// A lease is an advisory lock in the PostgreSQL that the servers share. Whoever holds its connection holds the lease: a server
// that ends, or is killed, gives it back, and another takes it over within seconds. A server that lost its connection ends
// what it does before it tries again; until it notices, which takes a few seconds at most, two may act. So what is done under a lease
// must bear to be done twice, now and then.
package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	patience = 3 * time.Second // how long PostgreSQL may take for one answer
	again    = time.Second     // between two tries, and between two looks whether the lease is still held
)

// A Lease is what one server at a time has.
type Lease struct {
	URL    string       // PostgreSQL's; servers that share a lease name the same schema
	Name   string       // of what is done under it
	Logger *slog.Logger // slog.Default() if nil
}

const key = `hashtextextended('rollcall ' || current_schema() || ' ' || $1, 0)`

// Lock waits until nobody else has the lease, and has it until release is called.
func (l Lease) Lock(ctx context.Context) (release func(), err error) {
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	release = func() { l.leave(conn) }
	for {
		held, err := l.try(ctx, conn)
		if err != nil {
			release()
			return nil, err
		}
		if held {
			return release, nil
		}
		select {
		case <-ctx.Done():
			release()
			return nil, ctx.Err()
		case <-time.After(again / 20):
		}
	}
}

// Run does something whenever this server has the lease, until ctx ends or do returns while it has it.
func (l Lease) Run(ctx context.Context, do func(context.Context) error) error {
	if l.Logger == nil {
		l.Logger = slog.Default()
	}
	for {
		acted, err := l.turn(ctx, do)
		if ctx.Err() != nil {
			return nil
		}
		if acted && !errors.Is(err, errLost) {
			return err
		}
		l.Logger.Warn("this server acts no longer for all that share the log; it tries to again", "what", l.Name, "error", err)
		if !sleep(ctx, again) {
			return nil
		}
	}
}

// errLost says that the lease was lost.
var errLost = errors.New("the connection to PostgreSQL is lost")

// turn waits for the lease, and acts until it is lost. acted is false if it was never had.
func (l Lease) turn(ctx context.Context, do func(context.Context) error) (acted bool, err error) {
	conn, err := l.connect(ctx)
	if err != nil {
		return false, err
	}
	defer l.leave(conn)
	for told := false; ; told = true {
		held, err := l.try(ctx, conn)
		if err != nil {
			return false, err
		}
		if held {
			break
		}
		if !told {
			l.Logger.Info("another server acts for all that share the log; this one stands by", "what", l.Name)
		}
		if !sleep(ctx, again) {
			return false, ctx.Err()
		}
	}
	l.Logger.Info("this server acts for all that share the log", "what", l.Name)
	return true, l.hold(ctx, conn, do)
}

// hold acts while the connection lives.
func (l Lease) hold(ctx context.Context, conn *pgx.Conn, do func(context.Context) error) (err error) {
	acting, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		defer close(done)
		err = do(acting)
	})
	lost := false
	for !lost {
		select {
		case <-done:
			return err
		case <-ctx.Done():
			all.Wait()
			return err
		case <-time.After(again):
			lost = ask(ctx, func(ctx context.Context) error { return conn.Ping(ctx) }) != nil
		}
	}
	stop()
	all.Wait()
	return errors.Join(errLost, err)
}

func (l Lease) connect(ctx context.Context) (conn *pgx.Conn, err error) {
	err = ask(ctx, func(ctx context.Context) error {
		conn, err = pgx.Connect(ctx, l.URL)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask PostgreSQL for the lease of %s: %w", l.Name, err)
	}
	return conn, nil
}

func (l Lease) try(ctx context.Context, conn *pgx.Conn) (held bool, err error) {
	err = ask(ctx, func(ctx context.Context) error {
		return conn.QueryRow(ctx, "SELECT pg_try_advisory_lock("+key+")", l.Name).Scan(&held)
	})
	if err != nil {
		return false, fmt.Errorf("ask PostgreSQL for the lease of %s: %w", l.Name, err)
	}
	return held, nil
}

// leave gives the lease back: PostgreSQL does so when the connection ends.
func (l Lease) leave(conn *pgx.Conn) {
	_ = ask(context.Background(), conn.Close)
}

func ask(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return do(ctx)
}

// sleep waits, and reports whether ctx still lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

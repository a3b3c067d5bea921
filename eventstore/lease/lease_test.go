package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rollcall-mdm/rollcall/eventstore/lease"
	"github.com/rollcall-mdm/rollcall/eventstore/seal/pgtest"
)

// TestMain ends what the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.End()
	os.Exit(code)
}

func of(url, name string) lease.Lease {
	return lease.Lease{URL: url, Name: name, Logger: slog.New(slog.DiscardHandler)}
}

// Of several servers one acts. When it ends another takes over, and never do two act.
func TestOneActs(t *testing.T) {
	url := pgtest.URL(t)
	var acting, most atomic.Int32
	turns := make(chan int)
	act := func(n int) func(context.Context) error {
		return func(ctx context.Context) error {
			most.Store(max(most.Load(), acting.Add(1)))
			defer acting.Add(-1)
			turns <- n
			<-ctx.Done()
			return nil
		}
	}
	var ends [3]context.CancelFunc
	var all sync.WaitGroup
	for i := range ends {
		ctx, end := context.WithCancel(t.Context())
		ends[i] = end
		all.Go(func() {
			if err := of(url, "workers").Run(ctx, act(i)); err != nil {
				t.Error(err)
			}
		})
	}
	seen := map[int]bool{}
	for range ends {
		now := <-turns
		seen[now] = true
		ends[now]()
	}
	all.Wait()
	if len(seen) != 3 || most.Load() != 1 {
		t.Errorf("%v acted, up to %d at once", seen, most.Load())
	}
}

// Whoever loses the connection ends what it does, and takes the lease up again.
func TestALostLeaseEndsWhatIsDone(t *testing.T) {
	url := pgtest.URL(t)
	ctx, end := context.WithCancel(t.Context())
	turns, ended := make(chan struct{}), make(chan struct{}, 9)
	var all sync.WaitGroup
	all.Go(func() {
		err := of(url, "workers").Run(ctx, func(ctx context.Context) error {
			turns <- struct{}{}
			<-ctx.Done()
			ended <- struct{}{}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-turns
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	<-ended
	<-turns
	end()
	all.Wait()
}

// What is done under a lease may fail, and that is told.
func TestWhatIsDoneMayFail(t *testing.T) {
	want := errors.New("the disk is full")
	if err := of(pgtest.URL(t), "workers").Run(t.Context(), func(context.Context) error { return want }); !errors.Is(err, want) {
		t.Errorf("it says %v", err)
	}
}

// A lock is waited for. Locks of other names, and of other schemas, are others.
func TestALockIsWaitedFor(t *testing.T) {
	url := pgtest.URL(t)
	release, err := of(url, "start").Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []lease.Lease{of(url, "workers"), of(pgtest.URL(t), "start")} {
		free, err := other.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		free()
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := of(url, "start").Lock(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever does not wait is told %v", err)
	}
	got := make(chan error)
	go func() {
		free, err := of(url, "start").Lock(t.Context())
		if err == nil {
			free()
		}
		got <- err
	}()
	release()
	if err := <-got; err != nil {
		t.Error(err)
	}
	if _, err := of("postgres:///x?host=/nowhere", "start").Lock(t.Context()); err == nil {
		t.Error("where there is no PostgreSQL a lock was given")
	}
}

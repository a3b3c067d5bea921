package seal_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/eventstore/seal/pgtest"
)

// TestMain ends what the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.End()
	os.Exit(code)
}

func localKey(n byte) *seal.LocalKey { return seal.NewLocalKey([32]byte{n}) }

// holding opens whichever of the master keys is asked for.
func holding(keys ...*seal.LocalKey) func(context.Context, string) (seal.MasterKey, error) {
	return func(_ context.Context, id string) (seal.MasterKey, error) {
		for _, k := range keys {
			if k.ID() == id || id == "" {
				return k, nil
			}
		}
		return nil, seal.ErrNoMasterKey
	}
}

func openSharedKeyring(t testing.TB, url string, masters ...*seal.LocalKey) *seal.SharedKeyring {
	t.Helper()
	k := must[*seal.SharedKeyring](t)(seal.OpenShared(t.Context(), seal.SharedOptions{URL: url, Master: holding(masters...), Logger: slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// listening opens a keyring that hears what others do, as a server's does.
func listening(t testing.TB, url string, masters ...*seal.LocalKey) *seal.SharedKeyring {
	t.Helper()
	k := openSharedKeyring(t, url, masters...)
	ctx, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	before := listens(t, url)
	all.Go(func() { _ = k.Run(ctx) })
	t.Cleanup(func() { end(); all.Wait() })
	wait(t, func() bool { return listens(t, url) > before })
	return k
}

// listens counts the servers that hear.
func listens(t testing.TB, url string) (n int) {
	t.Helper()
	query(t, url, "SELECT count(*) FROM rollcall_servers", &n)
	return n
}

func query(t testing.TB, url, sql string, to ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if len(to) == 0 {
		_, err = conn.Exec(t.Context(), sql)
	} else {
		err = conn.QueryRow(t.Context(), sql).Scan(to...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func wait(t testing.TB, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came to pass")
		}
	}
}

// An alternating keyring is that of two servers, which are asked in turns.
type alternating struct {
	both [2]*seal.SharedKeyring
	next atomic.Int64
}

func (a *alternating) turn() *seal.SharedKeyring { return a.both[a.next.Add(1)%2] }

func (a *alternating) Keys(ctx context.Context, subject string) (seal.DataKeys, error) {
	return a.turn().Keys(ctx, subject)
}

func (a *alternating) Make(ctx context.Context, subject string) (seal.DataKeys, error) {
	return a.turn().Make(ctx, subject)
}
func (a *alternating) Destroy(ctx context.Context, subject string) error {
	return a.turn().Destroy(ctx, subject)
}

func (a *alternating) Erase(ctx context.Context, subject seal.Subject, upTo int64) error {
	return a.turn().Erase(ctx, subject, upTo)
}

func (a *alternating) Epoch(subject seal.Subject, version int64) int {
	return a.turn().Epoch(subject, version)
}

// What one server destroys the others do not have any more when it has: not from their memory either.
func TestServersForgetTogether(t *testing.T) {
	url := pgtest.URL(t)
	one, two := listening(t, url, localKey(1)), listening(t, url, localKey(1))
	stream := eventstore.Stream{Kind: "device", ID: "a"}
	for i := range 5 {
		name := "device-a"
		if i > 0 {
			name = fmt.Sprintf("%d#device-a", i)
		}
		made := must[seal.DataKeys](t)(one.Make(t.Context(), name))
		if found := must[seal.DataKeys](t)(two.Keys(t.Context(), name)); found != made {
			t.Fatal("two servers have different keys of one subject")
		}
		if err := one.Erase(t.Context(), seal.Of(stream), int64(i*10)); err != nil {
			t.Fatal(err)
		}
		if _, err := two.Keys(t.Context(), name); !errors.Is(err, seal.ErrDestroyed) {
			t.Errorf("after %d erasures the other server says %v", i+1, err)
		}
		if n := two.Epoch(seal.Of(stream), int64(i*10+1)); n != i+1 {
			t.Errorf("after %d erasures the other server is in epoch %d", i+1, n)
		}
		one, two = two, one
	}
}

// What was destroyed stands in none of PostgreSQL's tables.
func TestDestroyedKeysLeaveNoTraceInPostgreSQL(t *testing.T) {
	server := pgtest.Shared(t)
	url := server.Schema(t)
	k := openSharedKeyring(t, url, localKey(1))
	for i := range 20 {
		must[seal.DataKeys](t)(k.Make(t.Context(), fmt.Sprint("device-", i)))
	}
	var text string
	query(t, url, `SELECT encode(wrapped, 'hex') FROM rollcall_keys WHERE subject = 'device-7'`, &text)
	wrapped, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	query(t, url, "CHECKPOINT")
	if !stands(t, server, wrapped) {
		t.Fatal("the test does not find keys that are there")
	}
	if err := k.Destroy(t.Context(), "device-7"); err != nil {
		t.Fatal(err)
	}
	query(t, url, "CHECKPOINT")
	if stands(t, server, wrapped) {
		t.Error("the destroyed keys still stand in a table")
	}
}

// stands reports whether a table of the server holds the bytes.
func stands(t *testing.T, server *pgtest.Server, want []byte) (found bool) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(server.Files(), "base"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // it may vanish meanwhile
		}
		text, err := os.ReadFile(file)
		found = found || err == nil && bytes.Contains(text, want)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// While PostgreSQL is away keys in memory go on, others are told to come again, and when it is back nothing was lost: what was
// destroyed meanwhile by another server is gone here.
func TestWhilePostgreSQLIsAway(t *testing.T) {
	server := pgtest.Start(t)
	url := server.Schema(t)
	k := listening(t, url, localKey(1))
	made := must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-b"))
	server.Stop()
	if found, err := k.Keys(t.Context(), "device-a"); err != nil || found != made {
		t.Errorf("keys in memory: %v", err)
	}
	_, keysErr := k.Keys(t.Context(), "device-c")
	_, makeErr := k.Make(t.Context(), "device-c")
	for what, err := range map[string]error{"Keys": keysErr, "Make": makeErr, "Destroy": k.Destroy(t.Context(), "device-c")} {
		if !errors.Is(err, eventstore.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := openSharedKeyring(t, url, localKey(1))
	if err := other.Destroy(t.Context(), "device-b"); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool {
		_, err := k.Keys(t.Context(), "device-b")
		return errors.Is(err, seal.ErrDestroyed)
	})
	if again := must[seal.DataKeys](t)(k.Keys(t.Context(), "device-a")); again != made {
		t.Error("the keys are others than those that were made")
	}
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-c"))
}

// The master key is changed while servers make keys. Whoever has the next one goes over to it by itself.
func TestTheSharedMasterKeyIsChangedWhileServersMakeKeys(t *testing.T) {
	url := pgtest.URL(t)
	one, two := listening(t, url, localKey(1)), listening(t, url, localKey(1), localKey(2))
	made := map[string]seal.DataKeys{}
	for i := range 300 {
		name := fmt.Sprint("device-", i)
		made[name] = must[seal.DataKeys](t)(one.Make(t.Context(), name))
	}
	if err := one.Destroy(t.Context(), "device-0"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	more := make([]seal.DataKeys, 200)
	all.Go(func() {
		for i := range more {
			var err error
			if more[i], err = two.Make(t.Context(), fmt.Sprint("late-", i)); err != nil {
				t.Error(err)
			}
		}
	})
	count, err := one.Rotate(t.Context(), localKey(2), nil)
	all.Wait()
	if err != nil || count < 299 {
		t.Fatalf("%d keys were wrapped anew (%v)", count, err)
	}
	for i, keys := range more {
		made[fmt.Sprint("late-", i)] = keys
	}
	delete(made, "device-0")
	after := openSharedKeyring(t, url, localKey(2))
	for name, keys := range made {
		if found := must[seal.DataKeys](t)(after.Keys(t.Context(), name)); found != keys {
			t.Errorf("%s has other keys now", name)
		}
	}
	if _, err := after.Keys(t.Context(), "device-0"); !errors.Is(err, seal.ErrDestroyed) {
		t.Errorf("what was destroyed: %v", err)
	}
	_, err = seal.OpenShared(t.Context(), seal.SharedOptions{URL: url, Master: holding(localKey(1))})
	if !errors.Is(err, seal.ErrNoMasterKey) {
		t.Errorf("with the old master key: %v", err)
	}
	if name := two.MasterKey(); name != localKey(2).ID() {
		wait(t, func() bool { return two.MasterKey() == localKey(2).ID() })
	}
}

// A server that was not given the next master key goes on with what it has in memory, and says 503 for the rest until it is.
func TestAServerWithoutTheNextMasterKeyWaitsForIt(t *testing.T) {
	url := pgtest.URL(t)
	one := listening(t, url, localKey(1))
	var given atomic.Bool
	two := must[*seal.SharedKeyring](t)(seal.OpenShared(t.Context(), seal.SharedOptions{
		URL: url, Logger: slog.New(slog.DiscardHandler), Master: func(ctx context.Context, id string) (seal.MasterKey, error) {
			if given.Load() {
				return holding(localKey(2))(ctx, id)
			}
			return holding(localKey(1))(ctx, id)
		},
	}))
	defer two.Close()
	must[seal.DataKeys](t)(one.Make(t.Context(), "device-a"))
	must[seal.DataKeys](t)(one.Make(t.Context(), "device-b"))
	must[seal.DataKeys](t)(two.Keys(t.Context(), "device-a"))
	if _, err := one.Rotate(t.Context(), localKey(2), nil); err != nil {
		t.Fatal(err)
	}
	must[seal.DataKeys](t)(two.Keys(t.Context(), "device-a"))
	_, keysErr := two.Keys(t.Context(), "device-b")
	_, makeErr := two.Make(t.Context(), "device-c")
	for _, err := range []error{keysErr, makeErr} {
		if !errors.Is(err, eventstore.ErrUnavailable) || !strings.Contains(err.Error(), localKey(2).ID()) {
			t.Errorf("without the next master key: %v", err)
		}
	}
	given.Store(true)
	must[seal.DataKeys](t)(two.Keys(t.Context(), "device-b"))
	must[seal.DataKeys](t)(two.Make(t.Context(), "device-c"))
}

func TestWhatServersShareBesideDataKeys(t *testing.T) {
	url := pgtest.URL(t)
	one, two := openSharedKeyring(t, url, localKey(1)), openSharedKeyring(t, url, localKey(1))
	if kept := must[map[string][]byte](t)(one.Kept(t.Context())); len(kept) != 0 {
		t.Errorf("a new keyring keeps %v", kept)
	}
	if kept := must[[]byte](t)(one.Keep(t.Context(), "index.key", []byte("first"))); string(kept) != "first" {
		t.Errorf("kept %q", kept)
	}
	if kept := must[[]byte](t)(two.Keep(t.Context(), "index.key", []byte("second"))); string(kept) != "first" {
		t.Errorf("the second server was told %q", kept)
	}
	if _, err := one.Rotate(t.Context(), localKey(2), nil); err != nil {
		t.Fatal(err)
	}
	three := openSharedKeyring(t, url, localKey(2))
	if kept := must[map[string][]byte](t)(three.Kept(t.Context())); len(kept) != 1 || string(kept["index.key"]) != "first" {
		t.Errorf("after the master key was changed is kept %q", kept)
	}
	query(t, url, "UPDATE rollcall_kept SET name = 'ledger.key'")
	if _, err := three.Kept(t.Context()); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("under another name: %v, want ErrBroken", err)
	}
}

func TestASharedKeyringThatIsOnlyRead(t *testing.T) {
	url := pgtest.URL(t)
	k := openSharedKeyring(t, url, localKey(1))
	made := must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
	r := must[*seal.SharedKeyring](t)(seal.OpenShared(t.Context(), seal.SharedOptions{URL: url, Master: holding(localKey(1)), ReadOnly: true}))
	defer r.Close()
	if found := must[seal.DataKeys](t)(r.Keys(t.Context(), "device-a")); found != made {
		t.Error("the reader has other keys")
	}
	_, err := r.Make(t.Context(), "device-b")
	_, keepErr := r.Keep(t.Context(), "x", nil)
	_, rotateErr := r.Rotate(t.Context(), localKey(2), nil)
	for _, err := range []error{err, keepErr, rotateErr, r.Destroy(t.Context(), "device-a"), r.Erase(t.Context(), seal.Subject{}, 1), r.BeginErasing(t.Context(), seal.Subject{})} {
		if !errors.Is(err, seal.ErrReadOnly) {
			t.Errorf("%v, want ErrReadOnly", err)
		}
	}
	if err := k.Destroy(t.Context(), "device-a"); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool {
		_, err := r.Keys(t.Context(), "device-a")
		return errors.Is(err, seal.ErrDestroyed)
	})
}

func TestAnErasureThatWasBegunIsRemembered(t *testing.T) {
	url := pgtest.URL(t)
	k := openSharedKeyring(t, url, localKey(1))
	a, b := seal.Of(eventstore.Stream{Kind: "device", ID: "a"}), seal.Subject{Stream: eventstore.Stream{Kind: "device", ID: "b"}, Within: "u"}
	for _, s := range []seal.Subject{a, b, b} {
		if err := k.BeginErasing(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	again := openSharedKeyring(t, url, localKey(1))
	if list := must[[]seal.Subject](t)(again.Erasing(t.Context())); len(list) != 2 || list[0] != a || list[1] != b {
		t.Errorf("begun are %v", list)
	}
	if err := errors.Join(again.Erase(t.Context(), a, 3), again.LeaveErasing(t.Context(), b)); err != nil {
		t.Fatal(err)
	}
	if list := must[[]seal.Subject](t)(k.Erasing(t.Context())); len(list) != 0 {
		t.Errorf("begun are still %v", list)
	}
	if known := must[bool](t)(again.Knows(t.Context(), a)); !known {
		t.Error("what was erased was never known")
	}
	if known := must[bool](t)(again.Knows(t.Context(), b)); known {
		t.Error("what never was is known")
	}
}

func TestASharedKeyringThatCannotBeOpened(t *testing.T) {
	url := pgtest.URL(t)
	openSharedKeyring(t, url, localKey(1))
	for address, want := range map[string]string{
		"postgres://u:geheim@/x?host=/nowhere":                       "open the keyring in PostgreSQL's x at /nowhere",
		"postgres://u:geheim@127.0.0.1:x/y":                          "give one like postgres://",
		strings.Replace(url, "search_path=t", "search_path=none", 1): "no schema",
	} {
		_, err := seal.OpenShared(t.Context(), seal.SharedOptions{URL: address, Master: holding(localKey(1))})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", want, err)
		}
	}
	_, err := seal.OpenShared(t.Context(), seal.SharedOptions{URL: url, Master: func(context.Context, string) (seal.MasterKey, error) { return localKey(9), nil }})
	if err == nil || !strings.Contains(err.Error(), localKey(1).ID()) || !strings.Contains(err.Error(), localKey(9).ID()) {
		t.Errorf("another master key: %v", err)
	}
	_, err = seal.OpenShared(t.Context(), seal.SharedOptions{URL: url, Master: func(context.Context, string) (seal.MasterKey, error) {
		return impostor{localKey(9), localKey(1).ID()}, nil
	}})
	if !errors.Is(err, seal.ErrBroken) {
		t.Errorf("a master key that bears the right name: %v, want ErrBroken", err)
	}
	k := openSharedKeyring(t, url, localKey(1))
	if err := errors.Join(k.Close(), k.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Make(t.Context(), "device-a"); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("when closed: %v", err)
	}
}

package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A house is a log with its ledger.
type house struct {
	*ledger.Ledger
	log *embedded.Log
	dir string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	log, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	key, err := ledger.OpenKey(dir, "mdm.example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	return &house{&ledger.Ledger{Tree: log, Key: key, File: filepath.Join(dir, ledger.CheckpointFile)}, log, dir}
}

// append adds n events to each of three streams.
func (h *house) append(t *testing.T, n int) {
	t.Helper()
	for i := range 3 {
		s := eventstore.Stream{Kind: "device", ID: fmt.Sprint("d", i)}
		last := int64(-1)
		for env, err := range h.log.ReadStream(t.Context(), s, -1, eventstore.Backward) {
			if err != nil {
				t.Fatal(err)
			}
			last = env.Version
			break
		}
		events := make([]eventstore.Envelope, n)
		for j := range events {
			events[j] = full()
			events[j].ID = eventstore.NewUUID()
			if j%2 == 0 {
				events[j].Actor = eventstore.Actor{Kind: eventstore.ByDevice, ID: s.ID}
			}
		}
		if err := h.log.Append(t.Context(), s, last, events); err != nil {
			t.Fatal(err)
		}
	}
}

// Roots and proofs are those of another implementation of RFC 6962, at every size.
func TestTheTreeIsRFC6962s(t *testing.T) {
	h := newHouse(t)
	h.append(t, 43)
	other := testonly.New(rfc6962.DefaultHasher)
	for env, err := range h.log.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		other.AppendData(ledger.Canonical(env))
		root, err := h.Root(t.Context(), int64(env.Position))
		if err != nil || !bytes.Equal(root[:], other.Hash()) {
			t.Fatalf("the root of %d events is %s, want %x (%v)", env.Position, root, other.Hash(), err)
		}
	}
	if root, err := h.Root(t.Context(), 0); err != nil || !bytes.Equal(root[:], rfc6962.DefaultHasher.EmptyRoot()) {
		t.Errorf("the root of nothing is %s (%v)", root, err)
	}
	for _, older := range []int64{1, 2, 63, 64, 100, 129} {
		path, err := h.Consistency(t.Context(), older, 129)
		if err != nil {
			t.Fatal(err)
		}
		err = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(older), 129, hashes(path), other.HashAt(uint64(older)), other.Hash())
		if err != nil {
			t.Errorf("consistency of %d with 129: %v", older, err)
		}
	}
}

func hashes(path []tlog.Hash) (list [][]byte) {
	for _, h := range path {
		list = append(list, h[:])
	}
	return list
}

func TestProofs(t *testing.T) {
	h := newHouse(t)
	h.append(t, 7)
	public, err := ledger.ParsePublic(h.Public())
	if err != nil {
		t.Fatal(err)
	}
	for env, err := range h.log.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int64{int64(env.Position), 0} {
			given, err := h.Prove(t.Context(), env.Position, size)
			if err != nil {
				t.Fatal(err)
			}
			p, err := ledger.ParseProof(given.Text())
			if err == nil {
				err = p.Check(env, public)
			}
			if err != nil {
				t.Errorf("position %d of %d: %v", env.Position, size, err)
			}
			env := env
			env.Time = env.Time.Add(1000)
			if p.Check(env, public) == nil {
				t.Errorf("position %d of %d: another time was taken", env.Position, size)
			}
		}
	}
	for _, at := range []eventstore.Position{-1, 0, 22} {
		if _, err := h.Prove(t.Context(), at, 0); !errors.Is(err, ledger.ErrBeyond) {
			t.Errorf("position %d of 21 was proved (%v)", at, err)
		}
	}
}

// Every checkpoint is consistent with every later one.
func TestConsistencyOfManyCheckpoints(t *testing.T) {
	h := newHouse(t)
	public, _ := ledger.ParsePublic(h.Public())
	var given []ledger.Checkpoint
	for i := range 12 {
		h.append(t, 1+i%4)
		signed, err := h.Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, err := ledger.OpenCheckpoint(signed, public)
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, c)
	}
	for i, newer := range given {
		for _, older := range given[:i+1] {
			path, err := h.Consistency(t.Context(), older.Size, newer.Size)
			if err == nil {
				err = tlog.CheckTree(path, newer.Size, newer.Root, older.Size, older.Root)
			}
			if err != nil {
				t.Errorf("%d to %d: %v", older.Size, newer.Size, err)
			}
			if tlog.CheckTree(path, newer.Size, older.Root, older.Size, newer.Root) == nil && i > 0 && older != newer {
				t.Errorf("%d to %d: swapped roots were taken", older.Size, newer.Size)
			}
		}
	}
}

func TestTheKeyIsItsOwnersAlone(t *testing.T) {
	h := newHouse(t)
	if info, err := os.Stat(filepath.Join(h.dir, ledger.KeyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v (%v)", info, err)
	}
	again, err := ledger.OpenKey(h.dir, "another.example.com/log")
	if err != nil || again.Public() != h.Public() || again.Origin() != "mdm.example.com/log" {
		t.Errorf("the key was not kept: %v", err)
	}
	if said := fmt.Sprintf("%v %+v %#v %s", h.Key, h.Key, h.Key, h.Key); strings.Contains(said, "PRIVATE") {
		t.Errorf("the key is printed: %s", said)
	}
	if _, err := ledger.OpenKey(t.TempDir(), ""); !errors.Is(err, ledger.ErrNoKey) {
		t.Errorf("no key, no origin: %v", err)
	}
	for _, origin := range []string{"a b", "a+b", "a\n"} {
		if _, err := ledger.OpenKey(t.TempDir(), origin); err == nil {
			t.Errorf("%q is taken as an origin", origin)
		}
	}
	if err := os.WriteFile(filepath.Join(h.dir, ledger.KeyFile), []byte("PRIVATE+KEY+rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.OpenKey(h.dir, "x"); err == nil || strings.Contains(err.Error(), "rubbish") {
		t.Errorf("a broken key: %v", err)
	}
}

// A checkpoint is made when something was appended, kept, and sent to everybody, even if one does not take it.
func TestTickTellsTheWitnesses(t *testing.T) {
	h := newHouse(t)
	var posted [][]byte
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		posted = append(posted, b.Bytes())
	}))
	defer hook.Close()
	kept := filepath.Join(h.dir, "witness")
	for _, setting := range []string{"file:" + filepath.Join(h.dir, "no/such/dir"), "file:" + kept, hook.URL + "/secret"} {
		w, err := ledger.ParseWitness(setting)
		if err != nil || strings.Contains(w.String(), "secret") {
			t.Fatalf("%s: %v", setting, err)
		}
		h.Witnesses = append(h.Witnesses, w)
	}
	h.append(t, 1)
	for range 2 {
		if err := h.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.append(t, 1)
	if err := h.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	latest, err := h.Latest(t.Context())
	if err != nil || len(posted) != 2 || !bytes.Equal(posted[1], latest) {
		t.Errorf("%d checkpoints were posted, want 2 (%v)", len(posted), err)
	}
	if file, err := os.ReadFile(kept); err != nil || string(file) != string(posted[0])+"\n"+string(posted[1])+"\n" {
		t.Errorf("the witness kept %q (%v)", file, err)
	}
	if file, err := os.ReadFile(h.File); err != nil || !bytes.Equal(file, latest) {
		t.Errorf("the kept checkpoint is %q (%v)", file, err)
	}
}

func TestParseWitnessRefuses(t *testing.T) {
	for _, setting := range []string{"", "file:", "ftp://x", "https://", "x", "%zz", "syslog+tcp://x"} {
		if _, err := ledger.ParseWitness(setting); err == nil {
			t.Errorf("%q was taken", setting)
		}
	}
	for _, setting := range []string{"file:x", "syslog:", "syslog://h:514", "http://h/p"} {
		if _, err := ledger.ParseWitness(setting); err != nil {
			t.Error(err)
		}
	}
}

// A log that lost what was signed, or holds something else in its place, is found when it is opened.
func TestResume(t *testing.T) {
	h := newHouse(t)
	if err := h.Resume(t.Context()); err != nil {
		t.Errorf("a new house: %v", err)
	}
	h.append(t, 3)
	if err := h.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.append(t, 3)
	if err := (&ledger.Ledger{Tree: h.log, Key: h.Key, File: h.File}).Resume(t.Context()); err != nil {
		t.Errorf("the same log, longer: %v", err)
	}
	for what, n := range map[string]int{"a shorter log": 1, "another log": 4} {
		other := newHouse(t)
		other.append(t, n)
		err := (&ledger.Ledger{Tree: other.log, Key: h.Key, File: h.File}).Resume(t.Context())
		if err == nil || !strings.Contains(err.Error(), "9 events") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := (&ledger.Ledger{Tree: h.log, Key: newHouse(t).Key, File: h.File}).Resume(t.Context()); !errors.Is(err, ledger.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
}

func TestTiles(t *testing.T) {
	h := newHouse(t)
	h.append(t, 100)
	for _, c := range []struct {
		level int
		n     int64
		width int
		ok    bool
	}{{0, 0, 256, true}, {0, 1, 44, true}, {0, 1, 45, false}, {1, 0, 1, true}, {1, 0, 2, false}, {0, 0, 0, false}, {0, -1, 1, false}, {8, 0, 1, false}, {0, 0, 257, false}} {
		data, err := h.Tile(t.Context(), c.level, c.n, c.width)
		if (err == nil) != c.ok || (c.ok && len(data) != 32*c.width) || (!c.ok && !errors.Is(err, ledger.ErrBeyond)) {
			t.Errorf("tile %+v: %d bytes, %v", c, len(data), err)
		}
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	h := newHouse(t)
	h.append(t, 1)
	ctx, stop := context.WithCancel(t.Context())
	w := &oneWitness{got: make(chan []byte, 3)}
	h.Witnesses, h.Every = []ledger.Witness{w}, time.Hour
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()
	if signed := <-w.got; !strings.Contains(string(signed), "\n3\n") {
		t.Errorf("signed %q", signed)
	}
	h.append(t, 1)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if latest, err := h.Latest(t.Context()); err != nil || !strings.Contains(string(latest), "\n6\n") {
		t.Errorf("the last checkpoint is %q (%v)", latest, err)
	}
}

type oneWitness struct{ got chan []byte }

func (w *oneWitness) String() string { return "one" }
func (w *oneWitness) Witness(_ context.Context, signed []byte) error {
	w.got <- signed
	return nil
}

package ledger

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// The files of a bundle. Tiles stand in tile/ as they are served; proofs in proofs/POSITION.tlog-proof.
const (
	eventsFile   = "events.jsonl"
	manifestFile = "manifest.json"
	sumsFile     = "SHA256SUMS"
	proofsDir    = "proofs"
)

// A Question says which events a bundle holds. The zero value is all.
type Question struct {
	From   time.Time `json:"from,omitzero"`   // events at this time or later
	To     time.Time `json:"to,omitzero"`     // events before this time
	Stream string    `json:"stream,omitzero"` // events of this stream, by its stored name: kind-id
	Also   string    `json:"also,omitzero"`   // with a question, all events of this stream too, whatever it asks
}

// All reports whether no event is left out.
func (q Question) All() bool { return q == Question{} }

func (q Question) wants(env *eventstore.Envelope) bool {
	return q.Also != "" && env.Stream.String() == q.Also || (q.From.IsZero() || !env.Time.Before(q.From)) && (q.To.IsZero() || env.Time.Before(q.To)) &&
		(q.Stream == "" || env.Stream.String() == q.Stream)
}

// A Manifest says what a bundle holds. It is not signed: the checkpoint is, and everything here is checked.
type Manifest struct {
	Form     int                 `json:"form"` // of the bundle, 1
	Program  string              `json:"program"`
	Question Question            `json:"question"`
	Origin   string              `json:"origin"`
	Position eventstore.Position `json:"position"`        // the last event that the checkpoint covers
	Time     string              `json:"time,omitempty"`  // of that event
	Root     string              `json:"root"`            // over all events up to there
	Events   int64               `json:"events"`          // in the bundle
	First    eventstore.Position `json:"first,omitempty"` // of them
	Last     eventstore.Position `json:"last,omitempty"`
}

// An Export makes a bundle. All but Progress are needed.
type Export struct {
	Ledger   *Ledger
	Log      Events
	Question Question
	Position eventstore.Position // up to which; 0 means all that is durable
	Program  string              // name and version of the program
	Progress func(done, of int64)
}

// Events are what an export needs of a log.
type Events interface {
	ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error]
}

// Write makes the bundle in a directory that is empty or missing. The same question up to the same position gives
// the same bytes. What it reads is checked against the tree: an event that was changed in the log's file is an error.
func (x *Export) Write(ctx context.Context, dir string) (Manifest, error) {
	if err := x.fill(ctx); err != nil {
		return Manifest{}, err
	}
	b, err := newBundle(dir)
	if err != nil {
		return Manifest{}, err
	}
	m, err := x.write(ctx, b)
	if err != nil {
		return Manifest{}, fmt.Errorf("export: %w", err)
	}
	return m, nil
}

func (x *Export) fill(ctx context.Context) error {
	n, err := x.Ledger.Tree.Leaves(ctx)
	if err != nil {
		return err
	}
	if x.Position == 0 {
		x.Position = eventstore.Position(n)
	}
	if int64(x.Position) > n || x.Position < 0 {
		return fmt.Errorf("%w: position %d of %d", ErrBeyond, x.Position, n)
	}
	if x.Progress == nil {
		x.Progress = func(int64, int64) {}
	}
	return nil
}

func (x *Export) write(ctx context.Context, b *bundle) (Manifest, error) {
	signed, err := x.Ledger.CheckpointAt(ctx, int64(x.Position))
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Form: 1, Program: x.Program, Question: x.Question, Origin: x.Ledger.Key.Origin(), Position: x.Position}
	err = errors.Join(b.put(CheckpointFile, signed), b.put(PublicFile, []byte(x.Ledger.Public()+"\n")))
	if err != nil {
		return m, err
	}
	root, err := x.events(ctx, b, &m)
	if err != nil {
		return m, err
	}
	signedRoot, err := x.Ledger.Root(ctx, int64(x.Position))
	if err == nil && root != signedRoot {
		err = errors.New("the log's events do not have the root of its tree")
	}
	if err != nil {
		return m, err
	}
	m.Root = root.String()
	if err := x.tiles(ctx, b); err != nil {
		return m, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	return m, errors.Join(b.put(manifestFile, append(text, '\n')), b.close())
}

// events writes the events that are asked for, and proofs if they are not all. It returns the root over all.
func (x *Export) events(ctx context.Context, b *bundle, m *Manifest) (tlog.Hash, error) {
	out, err := b.create(eventsFile)
	if err != nil {
		return tlog.Hash{}, err
	}
	var t following
	for env, err := range x.Log.ReadAll(ctx, 0) {
		if err != nil {
			return tlog.Hash{}, errors.Join(err, out.Close())
		}
		if env.Position > x.Position {
			break
		}
		if err := errors.Join(t.add(ctx, x.Ledger, &env), x.event(ctx, b, out, m, &env)); err != nil {
			return tlog.Hash{}, errors.Join(err, out.Close())
		}
		m.Time = env.Time.Format(lineTime)
		x.Progress(int64(env.Position), int64(x.Position))
	}
	return t.edge.Root(), out.Close()
}

func (x *Export) event(ctx context.Context, b *bundle, out io.Writer, m *Manifest, env *eventstore.Envelope) error {
	if !x.Question.wants(env) {
		return nil
	}
	text, err := Line(*env)
	if err != nil {
		return err
	}
	if m.Events == 0 {
		m.First = env.Position
	}
	m.Events, m.Last = m.Events+1, env.Position
	if _, err := out.Write(append(text, '\n')); err != nil || x.Question.All() {
		return err
	}
	p, err := x.Ledger.Prove(ctx, env.Position, int64(x.Position))
	if err != nil {
		return err
	}
	return b.put(proofName(env.Position), p.Text())
}

func proofName(at eventstore.Position) string { return fmt.Sprintf("%s/%d.tlog-proof", proofsDir, at) }

func (x *Export) tiles(ctx context.Context, b *bundle) error {
	for _, t := range tlog.NewTiles(TileHeight, 0, int64(x.Position)) {
		data, err := tlog.ReadTileData(t, x.Ledger.Reader(ctx))
		if err != nil {
			return err
		}
		if err := b.put(tileName(t), data); err != nil {
			return err
		}
	}
	return nil
}

// tileName returns a tile's path (c2sp.org/tlog-tiles): tlog's own begins with the height.
func tileName(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
}

// A following checks events against the tree as they are read.
type following struct {
	edge   Edge
	leaves Leaves
	known  []tlog.Hash // leaves of the tree from first on
	first  int64
}

// add adds the next event, and finds one that is missing or not the one that was hashed when it was appended.
func (f *following) add(ctx context.Context, l *Ledger, env *eventstore.Envelope) error {
	n := f.edge.Size()
	if int64(env.Position) != n+1 {
		return fmt.Errorf("the log has no event at position %d: the next is %d", n+1, env.Position)
	}
	if n == f.first+int64(len(f.known)) {
		if err := f.read(ctx, l, n); err != nil {
			return err
		}
	}
	leaf := f.leaves.Hash(env)
	if leaf != f.known[n-f.first] {
		return fmt.Errorf("the event at position %d is not the one that was appended: its hash does not fit", n+1)
	}
	f.edge.Append(nil, leaf)
	return nil
}

func (f *following) read(ctx context.Context, l *Ledger, from int64) error {
	leaves, err := l.Tree.Leaves(ctx)
	if err != nil {
		return err
	}
	indexes := make([]int64, min(4096, leaves-from))
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, from+int64(i))
	}
	f.known, err = l.Tree.ReadHashes(ctx, indexes)
	f.first = from
	return err
}

// A bundle is a directory in the making. It knows the sums of all its files.
type bundle struct {
	dir  string
	sums map[string]string
}

func newBundle(dir string) (*bundle, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the bundle's directory: %w", err)
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
		return nil, errors.Join(fmt.Errorf("%s is not empty: a bundle wants a directory of its own", dir), err)
	}
	return &bundle{dir: dir, sums: map[string]string{}}, nil
}

func (b *bundle) put(name string, text []byte) error {
	f, err := b.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// A summed file is known by its sum when it is closed.
type summed struct {
	*bufio.Writer
	file *os.File
	sum  hash.Hash
	done func(sum string)
}

func (b *bundle) create(name string) (*summed, error) {
	path := filepath.Join(b.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s := &summed{file: f, sum: sha256.New(), done: func(sum string) { b.sums[name] = sum }}
	s.Writer = bufio.NewWriter(io.MultiWriter(f, s.sum))
	return s, nil
}

func (s *summed) Close() error {
	err := errors.Join(s.Flush(), s.file.Close())
	s.done(hex.EncodeToString(s.sum.Sum(nil)))
	return err
}

// close writes the sums, in the form of sha256sum.
func (b *bundle) close() error {
	var names []string
	for name := range b.sums {
		names = append(names, name)
	}
	sort.Strings(names)
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "%s  %s\n", b.sums[name], name)
	}
	return b.put(sumsFile, []byte(text.String()))
}

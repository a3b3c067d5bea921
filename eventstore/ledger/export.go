package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// The files of a bundle. Tiles stand in tile/ as they are served; proofs in proofs/POSITION.tlog-proof.
const (
	ManifestFile = "manifest.json" // a Manifest, in JSON
	eventsFile   = "events.jsonl"
	sumsFile     = "SHA256SUMS"
	proofsDir    = "proofs"
)

// A Question says which events a bundle holds. The zero value is all.
type Question struct {
	From   time.Time `json:"from,omitzero"`   // events at this time or later
	To     time.Time `json:"to,omitzero"`     // events before this time
	Stream string    `json:"stream,omitzero"` // events of this stream, by its stored name: kind-id
	Also   string    `json:"also,omitzero"`   // with a question, all events of these streams too, whatever it asks: names between spaces
}

// All reports whether no event is left out.
func (q Question) All() bool { return q == Question{} }

func (q Question) wants(env *eventstore.Envelope) bool {
	name := env.Stream.String()
	for also := range strings.FieldsSeq(q.Also) {
		if name == also {
			return true
		}
	}
	return (q.From.IsZero() || !env.Time.Before(q.From)) && (q.To.IsZero() || env.Time.Before(q.To)) && (q.Stream == "" || name == q.Stream)
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

// Write makes the bundle in a directory that is empty or missing. See To.
func (x *Export) Write(ctx context.Context, dir string) (Manifest, error) {
	if err := x.fill(ctx); err != nil {
		return Manifest{}, err
	}
	to, err := NewDir(dir)
	if err != nil {
		return Manifest{}, err
	}
	return x.To(ctx, to)
}

// To makes the bundle's files, one after the other. The same question up to the same position gives the same bytes,
// wherever they go. What it reads is checked against the tree: an event that was changed in the log's file is an error.
func (x *Export) To(ctx context.Context, to Sink) (Manifest, error) {
	if err := x.fill(ctx); err != nil {
		return Manifest{}, err
	}
	m, err := x.write(ctx, &bundle{to: to, sums: map[string]string{}})
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
	root, given, err := x.events(ctx, b, &m)
	if err == nil {
		err = x.proofs(ctx, b, given)
	}
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
	return m, errors.Join(b.put(ManifestFile, append(text, '\n')), b.close())
}

// events writes the events that are asked for. It returns the root over all, and which need a proof.
func (x *Export) events(ctx context.Context, b *bundle, m *Manifest) (_ tlog.Hash, given []eventstore.Position, err error) {
	out, err := b.create(eventsFile)
	if err != nil {
		return tlog.Hash{}, nil, err
	}
	var t following
	for env, err := range x.Log.ReadAll(ctx, 0) {
		if err != nil {
			return tlog.Hash{}, nil, errors.Join(err, out.Close())
		}
		if env.Position > x.Position {
			break
		}
		if err := errors.Join(t.add(ctx, x.Ledger, &env), x.event(out, m, &env)); err != nil {
			return tlog.Hash{}, nil, errors.Join(err, out.Close())
		}
		if !x.Question.All() && m.Last == env.Position {
			given = append(given, env.Position)
		}
		m.Time = env.Time.Format(lineTime)
		x.Progress(int64(env.Position), int64(x.Position))
	}
	return t.edge.Root(), given, out.Close()
}

// event writes an event if it is asked for.
func (x *Export) event(out io.Writer, m *Manifest, env *eventstore.Envelope) error {
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
	_, err = out.Write(append(text, '\n'))
	return err
}

// proofs writes a proof for each event that needs one.
func (x *Export) proofs(ctx context.Context, b *bundle, given []eventstore.Position) error {
	for _, at := range given {
		p, err := x.Ledger.Prove(ctx, at, int64(x.Position))
		if err == nil {
			err = b.put(proofName(at), p.Text())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func proofName(at eventstore.Position) string { return fmt.Sprintf("%s/%d.tlog-proof", proofsDir, at) }

func (x *Export) tiles(ctx context.Context, b *bundle) error {
	for _, t := range tlog.NewTiles(TileHeight, 0, int64(x.Position)) {
		data, err := tlog.ReadTileData(t, x.Ledger.Reader(ctx))
		if err != nil {
			return err
		}
		if err := b.put(TileName(t), data); err != nil {
			return err
		}
	}
	return nil
}

// TileName returns a tile's path (c2sp.org/tlog-tiles): tlog's own begins with the height.
func TileName(t tlog.Tile) string {
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

package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// largestLine is the most that a line of a bundle may have, in bytes: the largest event in base64.
const largestLine = 128 << 20

// A Finding is something in a bundle that does not fit.
type Finding struct {
	Position eventstore.Position `json:"position,omitempty"` // of the event; 0 if it is about no one event
	File     string              `json:"file"`               // of the bundle
	Problem  string              `json:"problem"`
}

// String returns the finding as a sentence.
func (f Finding) String() string {
	if f.Position > 0 {
		return fmt.Sprintf("position %d (%s): %s", f.Position, f.File, f.Problem)
	}
	return f.File + ": " + f.Problem
}

// A Verdict is what Verify found.
type Verdict struct {
	Good     bool      `json:"good"`
	Origin   string    `json:"origin,omitempty"`
	Size     int64     `json:"size"` // events that the checkpoint covers
	Root     string    `json:"root,omitempty"`
	Events   int64     `json:"events"`             // in the bundle
	All      bool      `json:"all"`                // the bundle holds all events of the log up to the checkpoint
	Agreed   int       `json:"agreed,omitempty"`   // checkpoints that somebody kept, and with which the log begins
	KeyGiven bool      `json:"keyGiven"`           // the public key did not come from the bundle itself
	Findings []Finding `json:"findings,omitempty"` // the first that names a position comes first
}

// A Verification says how a bundle is checked. The zero value needs nothing but the bundle.
type Verification struct {
	// Public is the log's key. If it is nil, the key of the bundle is taken, and the verdict says so: then it shows
	// that the bundle is whole, not whose it is.
	Public note.Verifier
	// Witnessed are checkpoints that somebody kept: signed notes. The bundle's log must begin with what each of them says.
	Witnessed [][]byte
	// Event is shown every event, in order, and says what is wrong with it beyond its place in the log, empty if nothing is.
	Event    func(env eventstore.Envelope) (problem string)
	Progress func(done, of int64)
}

// Verify checks a bundle. An error means that it could not be checked; what is wrong with it is in the verdict.
func Verify(ctx context.Context, dir string, public note.Verifier, progress func(done, of int64)) (Verdict, error) {
	return Verification{Public: public, Progress: progress}.Bundle(ctx, dir)
}

// Bundle checks the bundle in a directory. An error means that it could not be checked; what is wrong with it is in
// the verdict.
func (how Verification) Bundle(ctx context.Context, dir string) (Verdict, error) {
	v := &verifier{
		dir: dir, public: how.Public, progress: how.Progress, look: how.Event, witnessed: how.Witnessed,
		versions: map[string]int64{}, lost: map[int64]bool{},
	}
	if v.progress == nil {
		v.progress = func(int64, int64) {}
	}
	if v.look == nil {
		v.look = func(eventstore.Envelope) string { return "" }
	}
	if _, err := os.Stat(dir); err != nil {
		return Verdict{}, fmt.Errorf("verify: %w", err)
	}
	for _, check := range []func() error{v.sums, v.opening, v.manifest, v.tiles, v.witnesses, func() error { return v.events(ctx) }} {
		if err := check(); err != nil {
			return Verdict{}, fmt.Errorf("verify %s: %w", dir, err)
		}
	}
	return v.verdict(), nil
}

// A verifier goes through a bundle once.
type verifier struct {
	dir       string
	public    note.Verifier
	progress  func(done, of int64)
	look      func(eventstore.Envelope) string
	witnessed [][]byte
	agreed    int // of the witnessed checkpoints

	given    bool
	signed   Checkpoint
	believed bool // the checkpoint is signed
	question Question
	claims   Manifest
	leaves   []byte         // what the tiles of level 0 hold
	lost     map[int64]bool // tiles of level 0 that are not there
	rooted   bool           // they have the signed root
	edge     Edge           // over the events, if all are there
	last     eventstore.Position
	count    int64
	first    eventstore.Position
	time     string
	versions map[string]int64 // the next version by stream
	placed   []Finding        // with a position
	others   []Finding
}

// find notes a finding. Only the first few that name a position are kept: one change may move all that follows.
func (v *verifier) find(at eventstore.Position, file, format string, args ...any) {
	f := Finding{at, file, fmt.Sprintf(format, args...)}
	switch {
	case at == 0:
		v.others = append(v.others, f)
	case len(v.placed) < 10:
		v.placed = append(v.placed, f)
	}
}

func (v *verifier) path(name string) string { return filepath.Join(v.dir, filepath.FromSlash(name)) }

func (v *verifier) verdict() Verdict {
	d := Verdict{
		Origin: v.signed.Origin, Size: v.signed.Size, Events: v.count, All: v.question.All(), Agreed: v.agreed, KeyGiven: v.given,
		Findings: append(v.placed, v.others...),
	}
	if v.believed {
		d.Root = v.signed.Root.String()
	}
	d.Good = len(d.Findings) == 0
	return d
}

// sums checks SHA256SUMS: each file is listed, each listed file is there, and is what it was.
func (v *verifier) sums() error {
	text, err := os.ReadFile(v.path(sumsFile))
	if errors.Is(err, fs.ErrNotExist) {
		v.find(0, sumsFile, "the file is missing: this is no whole bundle")
		return nil
	}
	if err != nil {
		return err
	}
	listed := map[string]bool{sumsFile: true}
	for row := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(row, "\n"), "  ")
		if !ok || !fs.ValidPath(name) {
			v.find(0, sumsFile, "a line is broken: %q", shorten(row))
			continue
		}
		listed[name] = true
		if err := v.sum(name, sum); err != nil {
			return err
		}
	}
	return fs.WalkDir(os.DirFS(v.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !listed[name] {
			v.find(0, name, "the file is not listed in %s: somebody put it in", sumsFile)
		}
		return err
	})
}

func (v *verifier) sum(name, want string) error {
	f, err := os.Open(v.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		v.find(0, name, "the file is missing")
		return nil
	}
	if err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return errors.Join(err, f.Close())
	}
	if hex.EncodeToString(h.Sum(nil)) != want {
		v.find(0, name, "the file was changed after it was exported: its sum is another")
	}
	return f.Close()
}

// read reads a small file; missing is a finding already.
func (v *verifier) read(name string) ([]byte, error) {
	text, err := os.ReadFile(v.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		if len(v.others) == 0 {
			v.find(0, name, "the file is missing")
		}
		return nil, nil
	}
	return text, err
}

// opening checks the signature of the checkpoint.
func (v *verifier) opening() error {
	v.given = v.public != nil
	if !v.given {
		text, err := v.read(PublicFile)
		if err != nil {
			return err
		}
		if v.public, err = ParsePublic(string(text)); err != nil {
			v.find(0, PublicFile, "%s", err)
			return nil
		}
	}
	text, err := v.read(CheckpointFile)
	if err != nil {
		return err
	}
	if v.signed, err = OpenCheckpoint(text, v.public); err != nil {
		v.find(0, CheckpointFile, "%s", err)
		return nil
	}
	v.believed = true
	return nil
}

// manifest reads what the bundle claims to hold. What it says of events is compared when they were counted.
func (v *verifier) manifest() error {
	text, err := v.read(ManifestFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &v.claims); err != nil || v.claims.Form != 1 {
		v.find(0, ManifestFile, "it cannot be read, or is of another form than 1")
		return nil
	}
	v.question = v.claims.Question
	if m := v.claims; v.believed && (m.Origin != v.signed.Origin || int64(m.Position) != v.signed.Size || m.Root != v.signed.Root.String()) {
		v.find(0, ManifestFile, "it names another log, position or root than the checkpoint")
	}
	return nil
}

// tiles reads the tiles and checks each against those below it, and all against the checkpoint.
func (v *verifier) tiles() error {
	if !v.believed {
		return nil
	}
	var below []tlog.Hash // roots of the full tiles one level lower
	bad := false
	for _, t := range tlog.NewTiles(TileHeight, 0, v.signed.Size) {
		name := TileName(t)
		data, err := os.ReadFile(v.path(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(data) != t.W*tlog.HashSize {
			v.find(0, name, "the tile is missing or has another size than %d hashes", t.W)
			data, bad = make([]byte, t.W*tlog.HashSize), true
			v.lost[t.N] = v.lost[t.N] || t.L == 0
		}
		if t.L == 0 {
			v.leaves = append(v.leaves, data...)
		}
		below = v.tile(t, data, below, &bad)
	}
	root := edgeOf(v.leaves)
	v.rooted = root == v.signed.Root // whatever is wrong with other tiles, the leaves are the signed ones
	if !v.rooted && !bad {
		v.find(0, "tile", "the tiles have another root than the checkpoint")
	}
	return nil
}

// tile compares a tile with the roots of the full tiles below it, of which it takes its share, and adds its own
// root, if it is full, for the level above.
func (v *verifier) tile(t tlog.Tile, data []byte, roots []tlog.Hash, bad *bool) []tlog.Hash {
	if t.L > 0 {
		for i := range t.W {
			if len(roots) > 0 && !bytes.Equal(data[i*tlog.HashSize:][:tlog.HashSize], roots[0][:]) {
				n := t.N<<TileHeight + int64(i)
				span := int64(1) << (TileHeight * t.L)
				v.find(0, TileName(t), "its hash of positions %d to %d is not that of the tile below", n*span+1, (n+1)*span)
				*bad = true
			}
			roots = roots[min(1, len(roots)):]
		}
	}
	if t.W == 1<<TileHeight {
		roots = append(roots, edgeOf(data))
	}
	return roots
}

// edgeOf returns the root over hashes.
func edgeOf(hashes []byte) tlog.Hash {
	var e Edge
	var buf [64]tlog.Hash
	for ; len(hashes) >= tlog.HashSize; hashes = hashes[tlog.HashSize:] {
		e.Append(buf[:0], tlog.Hash(hashes[:tlog.HashSize]))
	}
	return e.Root()
}

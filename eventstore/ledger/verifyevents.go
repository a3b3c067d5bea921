package ledger

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// events checks each event against its leaf, and that none is missing, doubled or moved.
func (v *verifier) events(ctx context.Context) error {
	f, err := os.Open(v.path(eventsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // found already
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), largestLine)
	n := 0
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		n++
		v.event(n, lines.Bytes())
		v.progress(int64(v.last), v.signed.Size)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s after line %d: %w", eventsFile, n, err)
	}
	v.end()
	return nil
}

func (v *verifier) event(n int, text []byte) {
	env, err := ParseLine(text)
	if err != nil {
		at := env.Position
		if at == 0 {
			at = v.last + 1
		}
		v.find(at, eventsFile, "line %d: %s", n, err)
		if env.Position == 0 {
			v.last, v.count = at, v.count+1
			return
		}
	}
	if v.place(n, &env) {
		v.known(&env)
		v.proof(&env)
	}
	if problem := v.look(env); problem != "" {
		v.find(env.Position, eventsFile, "%s", problem)
	}
	if v.count == 0 {
		v.first = env.Position
	}
	v.last, v.time, v.count = max(env.Position, v.last), env.Time.Format(lineTime), v.count+1
}

// place checks where the event stands: among all, and in its stream.
func (v *verifier) place(n int, env *eventstore.Envelope) bool {
	at := env.Position
	switch {
	case at <= v.last:
		v.find(at, eventsFile, "line %d: position %d stands after position %d: the order was changed, or an event doubled", n, at, v.last)
		return false
	case v.believed && int64(at) > v.signed.Size:
		v.find(at, eventsFile, "line %d: the checkpoint covers %d events: this one was put in", n, v.signed.Size)
		return false
	case v.question.All() && at != v.last+1:
		v.find(v.last+1, eventsFile, "the event is missing: line %d has position %d", n, at)
	case !v.question.wants(env):
		v.find(at, eventsFile, "line %d: the event is no answer to the question in %s", n, ManifestFile)
	}
	v.follows(env)
	return true
}

// follows checks that the event's version is the next of its stream. Where the question has times it says nothing: a
// clock that was set back takes events out of the middle.
func (v *verifier) follows(env *eventstore.Envelope) {
	if !v.question.From.IsZero() || !v.question.To.IsZero() {
		return
	}
	stream := env.Stream.String()
	next := v.versions[stream] // the zero value is the first version
	if env.Version != next {
		v.find(env.Position, eventsFile, "version %d of stream %s does not follow: an event of it is missing or was moved here", env.Version, shorten(stream))
	}
	v.versions[stream] = env.Version + 1
}

// known compares the event with its leaf.
func (v *verifier) known(env *eventstore.Envelope) {
	at, leaf := int64(env.Position)-1, Leaf(*env)
	if v.question.All() && at == v.edge.Size() {
		v.edge.Append(nil, leaf)
	}
	if at < 0 || (at+1)*tlog.HashSize > int64(len(v.leaves)) || v.lost[at>>TileHeight] {
		return
	}
	if !bytes.Equal(v.leaves[at*tlog.HashSize:][:tlog.HashSize], leaf[:]) {
		v.find(env.Position, eventsFile, "%s", v.blame())
	}
}

// unclear is found where event and tile differ, and the tiles are not the signed ones either.
const unclear = "the event's hash is not the one in the tile: one of them was changed"

func (v *verifier) blame() string {
	if v.rooted {
		return "the event is not the one that was appended: its hash is not the signed one"
	}
	return unclear
}

// leafTile names the tile that holds an event's leaf.
func (v *verifier) leafTile(at eventstore.Position) string {
	n := (int64(at) - 1) >> TileHeight
	width := min(v.signed.Size-n<<TileHeight, 1<<TileHeight)
	return TileName(tlog.Tile{H: TileHeight, N: n, W: int(width)})
}

// acquit puts it right where the events turned out to be the signed ones: then it was the tile.
func (v *verifier) acquit() {
	for i, f := range v.placed {
		if f.Problem == unclear {
			v.placed[i].File = v.leafTile(f.Position)
			v.placed[i].Problem = "the tile's hash of this event was changed; the event is the signed one"
		}
	}
}

// proof checks the proof of an event in a bundle that holds some.
func (v *verifier) proof(env *eventstore.Envelope) {
	if v.question.All() || !v.believed {
		return
	}
	name := proofName(env.Position)
	text, err := os.ReadFile(v.path(name))
	if err != nil {
		v.find(env.Position, name, "the event's proof is missing")
		return
	}
	p, err := ParseProof(text)
	var c Checkpoint
	if err == nil {
		c, err = OpenCheckpoint(p.Checkpoint, v.public)
	}
	switch {
	case err != nil:
		v.find(env.Position, name, "%s", err)
	case c != v.signed || p.Index != int64(env.Position)-1:
		v.find(env.Position, name, "the proof is of another event or another checkpoint")
	default:
		if err := p.check(Leaf(*env), c); err != nil {
			v.find(env.Position, name, "%s", err)
		}
	}
}

// end checks what can only be known when all events were seen.
func (v *verifier) end() {
	m := v.claims
	if v.question.All() && v.believed && int64(v.last) < v.signed.Size {
		v.find(v.last+1, eventsFile, "the event is missing: the file ends at position %d, and the checkpoint covers %d events", v.last, v.signed.Size)
	}
	if m.Form == 1 && (m.Events != v.count || m.First != v.first || (v.count > 0 && m.Last != v.last)) {
		v.find(0, ManifestFile, "it says %d events, from position %d to %d; there are %d, from %d to %d", m.Events, m.First, m.Last, v.count, v.first, v.last)
	}
	if v.question.All() && v.believed && v.edge.Size() == v.signed.Size {
		if v.edge.Root() == v.signed.Root {
			v.acquit()
		} else if len(v.placed) == 0 {
			v.find(0, eventsFile, "the events have another root than the checkpoint, and the tiles were changed with them")
		}
		if m.Form == 1 && m.Time != v.time {
			v.find(0, ManifestFile, "its time is not that of the last event")
		}
	}
}

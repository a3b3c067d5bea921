package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// proofForm is the first line of a proof (c2sp.org/tlog-proof).
const proofForm = "c2sp.org/tlog-proof@v1"

// A Proof shows that one event is in the log, to whoever has the event and the log's public key.
type Proof struct {
	Index      int64 // of the leaf, from 0
	Path       tlog.RecordProof
	Checkpoint []byte // signed
}

// Text returns the proof as text (c2sp.org/tlog-proof).
func (p Proof) Text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nindex %d\n", proofForm, p.Index)
	for _, h := range p.Path {
		fmt.Fprintln(&b, h)
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads a proof. It checks nothing but the form.
func ParseProof(text []byte) (Proof, error) {
	head, checkpoint, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) < 2 || lines[0] != proofForm {
		return Proof{}, errors.New("this is no proof of inclusion")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return Proof{}, errors.New("the proof names no index")
	}
	number, _ := strings.CutPrefix(lines[0], "index ")
	index, err := strconv.ParseInt(number, 10, 64)
	if err != nil || index < 0 || "index "+strconv.FormatInt(index, 10) != lines[0] {
		return Proof{}, fmt.Errorf("the proof's index is %q", shorten(lines[0]))
	}
	p := Proof{Index: index, Checkpoint: checkpoint}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil || len(p.Path) == 64 {
			return Proof{}, fmt.Errorf("the proof's path is broken at %q", shorten(line))
		}
		p.Path = append(p.Path, h)
	}
	return p, nil
}

// Check reports whether the proof shows that the event is in the log whose key this is.
func (p Proof) Check(env eventstore.Envelope, public note.Verifier) error {
	c, err := OpenCheckpoint(p.Checkpoint, public)
	if err != nil {
		return err
	}
	return p.check(Leaf(env), c)
}

func (p Proof) check(leaf tlog.Hash, c Checkpoint) error {
	if p.Index >= c.Size {
		return fmt.Errorf("the proof is for leaf %d, and the checkpoint has %d", p.Index, c.Size)
	}
	if err := tlog.CheckRecord(p.Path, c.Size, c.Root, p.Index, leaf); err != nil {
		return errors.New("the proof does not lead from the event to the checkpoint's root")
	}
	return nil
}

package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint says what a log held when it had Size events: Root speaks for all of them.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// String returns the text that is signed (c2sp.org/tlog-checkpoint).
func (c Checkpoint) String() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// Sign returns the checkpoint as a signed note. The same tree under the same key gives the same bytes.
func (k *Key) Sign(size int64, root tlog.Hash) ([]byte, error) {
	c := Checkpoint{Origin: k.Origin(), Size: size, Root: root}
	signed, err := note.Sign(&note.Note{Text: c.String()}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	return signed, nil
}

// ErrSignature says that a checkpoint is not signed by the key that was expected.
var ErrSignature = errors.New("the checkpoint is not signed by this key")

// OpenCheckpoint reads a signed checkpoint and checks its signature.
func OpenCheckpoint(signed []byte, public note.Verifier) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(public))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w (%s): it was edited, or another log signed it", ErrSignature, public.Name())
	}
	c, err := parseCheckpoint(n.Text)
	if err == nil && c.Origin != public.Name() {
		err = fmt.Errorf("the checkpoint is of %q, want %q", shorten(c.Origin), public.Name())
	}
	return c, err
}

// parseCheckpoint reads the text of a checkpoint. Lines after the third are extensions, which say nothing here.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) != 4 || lines[0] == "" {
		return Checkpoint{}, errors.New("this is no checkpoint: want origin, size and root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("the checkpoint's size is %q", shorten(lines[1]))
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return Checkpoint{}, fmt.Errorf("the checkpoint's root is %q", shorten(lines[2]))
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

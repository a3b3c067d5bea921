package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A finding is something that is wrong, and where: at a position, or nowhere in the log if that is 0.
type finding struct {
	Position eventstore.Position `json:"position,omitempty"`
	Problem  string              `json:"problem"`
}

// mostFindings bounds what is kept of them.
const mostFindings = 10_000

// finding keeps what is wrong.
func (v *verification) finding(at eventstore.Position, format string, args ...any) {
	if len(v.findings) == mostFindings {
		v.untold++
		return
	}
	v.findings = append(v.findings, finding{at, fmt.Sprintf(format, args...)})
}

// dense reports whether the log's positions have no gaps.
func (v *verification) dense() bool {
	_, sparse := v.log.(eventstore.Counter)
	return !sparse
}

// beginLedger makes ready to compare the ledger with the events that follow.
func (v *verification) beginLedger(ctx context.Context) error {
	v.readCheckpoint()
	v.recheck = &ledger.Recheck{Tree: v.tree, Sparse: !v.dense(), Found: func(at eventstore.Position, problem string) { v.finding(at, "%s", problem) }}
	return v.recheck.Begin(ctx, v.signed.Size)
}

// readCheckpoint reads the newest checkpoint that was kept.
func (v *verification) readCheckpoint() {
	signed, err := os.ReadFile(v.path(ledger.CheckpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		v.signed, err = v.openCheckpoint(signed)
	}
	if err != nil {
		v.finding(0, "the last checkpoint cannot be believed: %v", err)
	}
}

func (v *verification) openCheckpoint(signed []byte) (ledger.Checkpoint, error) {
	key, err := ledger.OpenKey(v.dir, "")
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	public, err := ledger.ParsePublic(key.Public())
	if err != nil {
		return ledger.Checkpoint{}, err
	}
	return ledger.OpenCheckpoint(signed, public)
}

func (v *verification) endLedger(last eventstore.Position) {
	v.recheck.End(last)
	if problem := v.recheck.Confirm(v.signed); v.signed.Size > 0 && problem != "" {
		v.finding(0, "%s", problem)
	}
}

// A soundness is what verify prints for programs.
type soundness struct {
	Good       bool      `json:"good"`
	Events     int64     `json:"events"`
	Streams    int       `json:"streams"`
	Checkpoint int64     `json:"checkpoint"` // how many of the events the last signed checkpoint speaks of
	Signatures tally     `json:"signatures"`
	Findings   []finding `json:"findings"` // by position; those of no position come last
	Untold     int       `json:"untold,omitempty"`
}

// report tells what was found, first place first.
func (v *verification) report() error {
	slices.SortStableFunc(v.findings, func(a, b finding) int {
		if a.Position == 0 || b.Position == 0 {
			return cmp.Compare(b.Position, a.Position)
		}
		return cmp.Compare(a.Position, b.Position)
	})
	told := v.findings[:min(len(v.findings), v.Most)]
	untold := v.untold + len(v.findings) - len(told)
	if v.JSON {
		return json.NewEncoder(v.out()).Encode(soundness{len(v.findings) == 0, v.events, len(v.next), v.signed.Size, v.tally, append([]finding{}, told...), untold})
	}
	out := bufio.NewWriter(v.out())
	for _, f := range told {
		if f.Position > 0 {
			fmt.Fprintf(out, "position %d: ", f.Position)
		}
		fmt.Fprintln(out, f.Problem)
	}
	switch {
	case untold > 0:
		fmt.Fprintf(out, "and %d more\n", untold)
	case len(told) == 0:
		fmt.Fprintf(out, "%d events in %d streams were read, opened and folded; the views and the ledger agree with the log\n", v.events, len(v.next))
		fmt.Fprintf(out, "of what devices sent, %s\n", v.tally)
	}
	return out.Flush()
}

package eventstore_test

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// memory keeps snapshots, and counts them.
type memory struct {
	kept  map[string]account
	at    map[string]int64
	saved int
}

func (m *memory) Load(s eventstore.Stream) (account, int64, bool) {
	a, ok := m.kept[s.ID]
	return a, m.at[s.ID], ok
}

func (m *memory) Save(s eventstore.Stream, version int64, a account) error {
	m.saved++
	m.kept[s.ID], m.at[s.ID] = a, version
	return nil
}

func TestSnapshots(t *testing.T) {
	log := openLog(t)
	snapshots := &memory{kept: map[string]account{}, at: map[string]int64{}}
	r := repository(log)
	r.Snapshots, r.Every = snapshots, 10
	update(t, r, "a", 25)
	if snapshots.saved != 2 || snapshots.at["a"] != 19 {
		t.Errorf("%d snapshots, the last at %d: want 2, at 19", snapshots.saved, snapshots.at["a"])
	}
	cold := repository(log)
	folded := 0
	cold.Snapshots = snapshots
	cold.Fold = func(a account, e added, at time.Time) account { folded++; return a.evolve(e, at) }
	load(t, cold, "a", 25)
	if folded != 5 {
		t.Errorf("%d events were folded, want the 5 after the snapshot", folded)
	}
	clear(snapshots.kept)
	load(t, func() *accounts { r := repository(log); r.Snapshots = snapshots; return r }(), "a", 25)
}

// A log that was put back to an older state knows nothing of what a snapshot says.
func TestSnapshotFromTheFuture(t *testing.T) {
	log := openLog(t)
	update(t, repository(log), "a", 5)
	r := repository(log)
	r.Snapshots = &memory{kept: map[string]account{"a": {Sum: 99}, "b": {Sum: 98}}, at: map[string]int64{"a": 98, "b": 97}}
	load(t, r, "a", 5)
	load(t, r, "b", 0)
	update(t, r, "a", 1)
	update(t, r, "b", 1)
	load(t, repository(log), "a", 6)
}

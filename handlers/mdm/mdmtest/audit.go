package mdmtest

import (
	"fmt"
	"strings"
)

// An Audit is what is wrong with the deliveries of one channel. Each entry is a CommandUUID.
type Audit struct {
	Lost       []string // queued, but never brought to an end
	Doubled    []string // brought to an end more than once
	Disordered []string // first delivered before one that had been queued earlier
	Unasked    []string // delivered, but never queued
}

// Check compares what was queued, in order and with equal priority, with what was delivered.
func Check(queued []string, deliveries []Delivery) Audit {
	place := make(map[string]int, len(queued))
	for i, uuid := range queued {
		place[uuid] = i
	}
	var a Audit
	ends := map[string]int{}
	met := map[string]bool{}
	last := -1
	for _, d := range deliveries {
		i, known := place[d.UUID]
		if d.Final() {
			ends[d.UUID]++
		}
		if met[d.UUID] {
			continue
		}
		met[d.UUID] = true
		switch {
		case !known:
			a.Unasked = append(a.Unasked, d.UUID)
		case i < last:
			a.Disordered = append(a.Disordered, d.UUID)
		default:
			last = i
		}
	}
	for _, uuid := range queued {
		switch n := ends[uuid]; {
		case n == 0:
			a.Lost = append(a.Lost, uuid)
		case n > 1:
			a.Doubled = append(a.Doubled, uuid)
		}
	}
	return a
}

// Err returns an error that names what is wrong, or nil.
func (a Audit) Err() error {
	var wrong []string
	for _, f := range []struct {
		how   string
		uuids []string
	}{{"lost", a.Lost}, {"doubled", a.Doubled}, {"out of order", a.Disordered}, {"never queued", a.Unasked}} {
		if len(f.uuids) > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s (%s …)", len(f.uuids), f.how, f.uuids[0]))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("commands went wrong: %s", strings.Join(wrong, ", "))
}

package ledger_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// BenchmarkLeaf hashes an event of 700 bytes and adds it to the tree.
func BenchmarkLeaf(b *testing.B) {
	env := full()
	env.Personal = make([]byte, 600)
	var l ledger.Leaves
	var e ledger.Edge
	for b.Loop() {
		e.Append(nil, l.Hash(&env))
	}
}

// BenchmarkAudit exports 20,000 events and verifies the bundle.
func BenchmarkAudit(b *testing.B) {
	const n = 20_000
	dir := b.TempDir()
	log, err := embedded.Open(b.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	key, err := ledger.OpenKey(dir, "bench")
	if err != nil {
		b.Fatal(err)
	}
	events := make([]eventstore.Envelope, n)
	for i := range events {
		events[i] = full()
		events[i].ID, events[i].Personal = eventstore.NewUUID(), make([]byte, 600)
	}
	if err := log.Append(b.Context(), eventstore.Stream{Kind: "device", ID: "d"}, eventstore.NoStream, events); err != nil {
		b.Fatal(err)
	}
	bundles := 0
	bundle := func() string { return filepath.Join(dir, fmt.Sprint("bundle", bundles)) }
	b.Run("export", func(b *testing.B) {
		for b.Loop() {
			bundles++
			x := &ledger.Export{Ledger: &ledger.Ledger{Tree: log, Key: key}, Log: log}
			if _, err := x.Write(b.Context(), bundle()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			if v, err := ledger.Verify(b.Context(), bundle(), nil, nil); err != nil || !v.Good {
				b.Fatal(v, err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

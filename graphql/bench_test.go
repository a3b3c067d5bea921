package graphql

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/operator"
)

const pageOf100 = `{"query":"{devices(first:100){nodes{name osVersion status lastSeenAt}}}"}`

// BenchmarkPageOf100 answers a page of 100 devices over HTTP, from a fleet of 300.
func BenchmarkPageOf100(b *testing.B) {
	h := newHouse(b)
	for i := range 300 {
		h.enrols(fmt.Sprintf("U%d", i), fmt.Sprintf("S%d", i), "iPad13,4", "17.2")
	}
	b.ReportAllocs()
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		if rec := h.send(operator.Viewer, http.MethodPost, "/graphql", "application/json", "", pageOf100); rec.Code != 200 {
			b.Fatal(rec.Body)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkTheGuard refuses and lets through.
func BenchmarkTheGuard(b *testing.B) {
	schema, err := newSchema()
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range attacks[:4] {
		b.Run(a.name, func(b *testing.B) {
			for b.Loop() {
				d := &documents{schema: &schema}
				_, _ = d.prepare(a.text, nil)
			}
		})
	}
}

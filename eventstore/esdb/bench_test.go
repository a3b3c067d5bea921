package esdb_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// What the client and we cost: the make-believe keeps all in memory, so nothing here speaks of a disk.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			l := opened(b)
			var next atomic.Int64
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					stream := eventstore.Stream{Kind: "device", ID: fmt.Sprint(w)}
					for expected := int64(-1); next.Add(1) <= int64(b.N); expected++ {
						if err := l.Append(b.Context(), stream, expected, some(1)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

func BenchmarkReadAll(b *testing.B) {
	l := opened(b)
	const batch = 1000
	for i := 0; i < b.N; i += batch {
		if err := l.Append(b.Context(), stream, int64(i-1), some(batch)); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	n := 0
	for _, err := range l.ReadAll(b.Context(), 0) {
		if err != nil {
			b.Fatal(err)
		}
		if n++; n == b.N {
			break
		}
	}
}

func opened(b *testing.B) *esdb.Log {
	b.Helper()
	server, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Close)
	l, err := esdb.Open(b.Context(), server.URL(), esdb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l
}

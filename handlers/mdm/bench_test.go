package mdm

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A memory is a log that forgets all when the test ends. It costs nearly nothing, so that a figure is the door's own.
type memory struct {
	mu      sync.Mutex
	head    eventstore.Position
	streams map[eventstore.Stream][]eventstore.Envelope
}

func (m *memory) Append(_ context.Context, s eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if int64(len(m.streams[s]))-1 != expected {
		return eventstore.ErrConflict
	}
	for i := range events {
		m.head++
		events[i].Position = m.head
	}
	m.streams[s] = append(m.streams[s], events...)
	return nil
}

func (m *memory) ReadStream(_ context.Context, s eventstore.Stream, from int64, _ eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.streams[s])
	return func(yield func(eventstore.Envelope, error) bool) {
		for _, e := range all[min(int(from), len(all)):] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (m *memory) ReadAll(context.Context, eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	panic("nobody here reads all")
}

func (m *memory) Follow(context.Context, eventstore.Position) iter.Seq2[[]eventstore.Envelope, error] {
	panic("nobody here follows")
}

func (m *memory) Head(context.Context) (eventstore.Position, error) { return m.head, nil }
func (m *memory) Close() error                                      { return nil }

// A discard is a ResponseWriter that costs nothing.
type discard struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(code int)        { d.code = code }
func (d *discard) Write(p []byte) (int, error) { return d.body.Write(p) }

// knock sends the same message again and again, as cheaply as a benchmark can.
type knock struct {
	h       *house
	request *http.Request
	body    *bytes.Reader
	w       discard
}

func (h *house) knock(how ...sending) *knock {
	k := &knock{h: h, request: httptest.NewRequest(http.MethodPut, "/mdm", nil), body: bytes.NewReader(nil)}
	k.request.RemoteAddr = "127.0.0.1:5000"
	for _, change := range how {
		change(k.request)
	}
	k.request.Body = nopCloser{k.body}
	k.w.header = http.Header{}
	return k
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

func (k *knock) send(b *testing.B, body []byte) []byte {
	k.body.Reset(body)
	k.request.ContentLength = int64(len(body))
	clear(k.w.header)
	k.w.body.Reset()
	k.h.web.ServeHTTP(&k.w, k.request)
	if k.w.code != http.StatusOK {
		b.Fatalf("answered %d %s", k.w.code, k.w.body.Bytes())
	}
	return k.w.body.Bytes()
}

func benchHouse(b *testing.B) *house {
	return furnish(b, &memory{streams: map[eventstore.Stream][]eventstore.Envelope{}}, nil)
}

func BenchmarkIdle(b *testing.B) {
	for _, way := range []string{"header", "mtls", "signature"} {
		b.Run(way, func(b *testing.B) {
			h := benchHouse(b)
			g := h.enrolled("00008030-0011223344556677")
			body := idle(b, "00008030-0011223344556677")
			how := map[string]sending{
				"header": byProxy(g.id), "mtls": byTLSWith(g.id.cert), "signature": header("Mdm-Signature", signCMS(b, g.id, body, signing{})),
			}[way]
			k := h.knock(how)
			b.ReportAllocs()
			for b.Loop() {
				k.send(b, body)
			}
		})
	}
}

func BenchmarkAcknowledged(b *testing.B) {
	for _, test := range []struct {
		name   string
		result map[string]any
	}{
		{"small", map[string]any{"QueryResponses": map[string]any{"OSVersion": "18.1", "SerialNumber": "C02"}}},
		{"60 applications", map[string]any{"InstalledApplicationList": applications(60)}},
	} {
		b.Run(test.name, func(b *testing.B) {
			h := benchHouse(b)
			g := h.enrolled("U1")
			k := h.knock(byProxy(g.id))
			keys := map[string]any{"UDID": "U1", "Status": "Acknowledged", "CommandUUID": "C000000000"}
			for key, v := range test.result {
				keys[key] = v
			}
			body := xml(b, keys)
			g.order("", "InstalledApplicationList", "C000000000")
			k.send(b, idle(b, "U1"))
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			n := 0
			for b.Loop() {
				b.StopTimer()
				before := fmt.Sprintf("C%09d", n)
				n++
				g.order("", "InstalledApplicationList", fmt.Sprintf("C%09d", n))
				answer := bytes.Replace(body, []byte("C000000000"), []byte(before), 1)
				b.StartTimer()
				if len(k.send(b, answer)) == 0 {
					b.Fatal("no command came")
				}
			}
		})
	}
}

func applications(n int) (all []any) {
	for i := range n {
		all = append(all, map[string]any{
			"Identifier": fmt.Sprintf("com.example.app%d", i), "Name": fmt.Sprintf("Application %d", i), "Version": "4.2.1", "ShortVersion": "4.2",
			"BundleSize": 123456789, "DynamicSize": 4096, "IsValidated": true, "ManagementFlags": 0,
		})
	}
	return all
}

func BenchmarkTokenUpdate(b *testing.B) {
	h := benchHouse(b)
	g := h.enrolled("U1")
	k := h.knock(byProxy(g.id))
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		n++
		body := xml(b, map[string]any{"UDID": "U1", "MessageType": "TokenUpdate", "Topic": topic, "Token": fmt.Appendf(nil, "token %d", n), "PushMagic": "m"})
		b.StartTimer()
		k.send(b, body)
	}
}

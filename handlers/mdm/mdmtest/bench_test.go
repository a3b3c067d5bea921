package mdmtest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// canned answers Idle with a command and the report with nothing: what is measured is the device alone.
type canned struct {
	commands [][]byte
	next     int
}

func (c *canned) Send(_ context.Context, r mdmtest.Request) (mdmtest.Answer, error) {
	a := mdmtest.Answer{Status: 200, ContentType: "application/xml"}
	if c.next++; c.next%2 == 0 {
		a.Body = c.commands[c.next/2%len(c.commands)]
	}
	return a, nil
}

// BenchmarkSession is a session of one command: two messages, the larger with a report about 60 apps.
func BenchmarkSession(b *testing.B) {
	for _, q := range mdmtest.Inventory {
		b.Run(q.RequestType, func(b *testing.B) {
			wire := &canned{next: 1}
			for range b.N + 1 {
				wire.commands = append(wire.commands, mdmtest.RawCommand(q, mdmtest.NewUUID()))
			}
			d := mdmtest.New(1, mdmtest.IOS)
			d.Wire = silent{}
			if err := d.Enrol(b.Context()); err != nil {
				b.Fatal(err)
			}
			d.Wire = wire
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, err := d.Session(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type silent struct{}

func (silent) Send(context.Context, mdmtest.Request) (mdmtest.Answer, error) {
	return mdmtest.Answer{Status: 200}, nil
}

// BenchmarkWires compares the wire of our own with net/http's, against a server that does nothing. The server's part
// is in both figures.
func BenchmarkWires(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	for name, wire := range map[string]mdmtest.Wire{"direct": &mdmtest.Direct{}, "net/http": mdmtest.Roundabout{}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := wire.Send(b.Context(), mdmtest.Request{URL: srv.URL + "/mdm", ContentType: "text/xml", Body: make([]byte, 500)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A clocked is a server whose clock is set by the test, and one device.
type clocked struct {
	t      *testing.T
	start  time.Time
	offset atomic.Int64 // of the clock, from the start
	dir    string
	url    string
	token  string
	device *mdmtest.Device
	server *server
	stop   func()
}

// now is a clock that goes on a millisecond whenever somebody looks.
func (c *clocked) now() time.Time {
	return c.start.Add(time.Duration(c.offset.Add(int64(time.Millisecond))))
}

// set sets the clock to so long after the start.
func (c *clocked) set(d time.Duration) { c.offset.Store(int64(d)) }

func newClocked(t *testing.T) *clocked {
	t.Helper()
	c := &clocked{t: t, start: time.Now().UTC().Truncate(time.Second), dir: t.TempDir()}
	ca, err := mdmtest.NewCA("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "ca.pem"), ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run()
	devices, err := mdmtest.Fleet{
		Size: 1, Seed: 3, Server: mdmtest.ServerAt(c.url), CA: ca, Proof: mdmtest.Proof{Way: mdmtest.ByHeader},
	}.Make()
	if err != nil {
		t.Fatal(err)
	}
	c.device = devices[0]
	return c
}

// run starts the server; stop ends it.
func (c *clocked) run() {
	c.t.Helper()
	data := filepath.Join(c.dir, "data")
	srv, err := openServer(c.t.Context(), settings{
		Data: data, Listen: "127.0.0.1:0", URL: "http://127.0.0.1", PlainHTTP: true, Views: "sqlite",
		Identity: []string{"header:X-Ssl-Client-Cert"}, Proxies: []string{"127.0.0.0/8"}, DeviceCA: []string{filepath.Join(c.dir, "ca.pem")},
		MaxBody: 8 << 20, LogFormat: "text", LogLevel: "error", Drain: 5 * time.Second,
	}, c.now)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.run(ctx) }()
	stopped := false
	c.server, c.url = srv, "http://"+srv.listener.Addr().String()
	c.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-ended, srv.close()); err != nil {
			c.t.Error(err)
		}
	}
	c.t.Cleanup(c.stop)
	token, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.token = strings.TrimSpace(string(token))
}

func (c *clocked) order() string {
	c.t.Helper()
	uuid := mdmtest.NewUUID()
	body := mdmtest.RawCommand(mdmtest.Question{RequestType: "SecurityInfo"}, uuid)
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPut, c.url+"/v1/enqueue/"+c.device.ID()+"?nopush=1", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.SetBasicAuth("test", c.token)
	c.send(r)
	return uuid
}

func (c *clocked) send(r *http.Request) []byte {
	c.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s was answered %d %s (%v)", r.URL, resp.StatusCode, body, err)
	}
	return body
}

// session has the device call, carry out what waits, and go.
func (c *clocked) session(want ...string) {
	c.t.Helper()
	done, err := c.device.Session(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	var got []string
	for _, d := range done {
		got = append(got, d.UUID)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("the device was handed %v, want %v", got, want)
	}
}

// A seen is a device as GraphQL tells it.
type seen struct {
	Status   string
	Commands struct {
		Edges []struct{ Node struct{ UUID, State string } }
	}
	Timeline struct {
		Edges []struct {
			Node struct {
				Type, Summary string
				Time          time.Time
				ClockShowed   *time.Time
			}
		}
	}
}

// ask asks for the device as of so long after the start; nil if there was none.
func (c *clocked) ask(asOf time.Duration) *seen {
	c.t.Helper()
	head, err := c.server.house.log.Head(c.t.Context())
	if err == nil {
		err = c.server.views.Wait(c.t.Context(), head)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	query := fmt.Sprintf(`{ device(id: %q, asOf: %q) { status commands { edges { node { uuid state } } }
		timeline { edges { node { type summary time clockShowed } } } } }`, c.device.ID(), c.start.Add(asOf).Format(time.RFC3339))
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	var answer struct {
		Data   struct{ Device *seen }
		Errors json.RawMessage
	}
	if err := json.Unmarshal(c.send(r), &answer); err != nil || answer.Errors != nil {
		c.t.Fatalf("%s (%v)", answer.Errors, err)
	}
	return answer.Data.Device
}

// states are those of the commands in question, in the order in which they were given.
func (s *seen) states(uuids ...string) (states []string) {
	for _, uuid := range uuids {
		state := "-"
		for _, e := range s.Commands.Edges {
			if e.Node.UUID == uuid {
				state = e.Node.State
			}
		}
		states = append(states, state)
	}
	return states
}

var negative = regexp.MustCompile(`-\d+ ?(ms|s|min|h|days)`)

// The server's clock is set back by an hour, forward by a day, and right again. What happened stays in the order in
// which it happened; "as of" a moment means all that had happened when the clock first showed a later one.
func TestTheClockIsSetBackAndForward(t *testing.T) {
	const day = 24 * time.Hour
	c := newClocked(t)
	if err := c.device.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := c.order()
	c.set(-time.Hour)
	c.session(first)
	second := c.order()
	c.set(day)
	c.session(second)
	c.set(time.Minute)
	c.session() // the clock was a day ahead when it was last seen
	third := c.order()
	c.session(third)

	c.stop()
	c.run() // which makes sure that the log is still the one that was signed
	if s := c.ask(-30 * time.Minute); s != nil {
		t.Errorf("half an hour before it enrolled, the device was %+v", s)
	}
	for _, at := range []struct {
		asOf time.Duration
		want string
	}{
		{12 * time.Hour, "[ACKNOWLEDGED QUEUED -]"},
		{day + time.Hour, "[ACKNOWLEDGED ACKNOWLEDGED ACKNOWLEDGED]"},
	} {
		if s := c.ask(at.asOf); s == nil || fmt.Sprint(s.states(first, second, third)) != at.want {
			t.Errorf("as of %s: %+v, want the commands to be %s", at.asOf, s, at.want)
		}
	}
	s := c.ask(day + time.Hour)
	for _, e := range s.Timeline.Edges {
		if negative.MatchString(e.Node.Summary) {
			t.Errorf("a duration below zero: %s", e.Node.Summary)
		}
	}
	s.wantFlags(t)
	c.wantOrder()
	c.stop()
	verified(t, filepath.Join(c.dir, "data"))
}

// wantFlags wants the timeline to say of exactly those events that the clock had been set back which happened meanwhile.
func (s *seen) wantFlags(t *testing.T) {
	t.Helper()
	var flagged []string
	for _, e := range s.Timeline.Edges {
		if n := e.Node; n.ClockShowed != nil {
			flagged = append(flagged, n.Type)
			if !n.ClockShowed.Before(n.Time) {
				t.Errorf("%s: the clock showed %s, and it counts as of %s", n.Type, n.ClockShowed, n.Time)
			}
		}
		if says := strings.Contains(e.Node.Summary, "had been set back"); says != (e.Node.ClockShowed != nil) {
			t.Errorf("the clock showed %v, and the summary says %q", e.Node.ClockShowed, e.Node.Summary)
		}
	}
	want := "[device.command-delivered device.command-acknowledged device.command-queued " +
		"device.seen device.command-queued device.command-delivered device.command-acknowledged]"
	if fmt.Sprint(flagged) != want {
		t.Errorf("flagged are %v, want %s", flagged, want)
	}
}

// wantOrder wants positions to be those in which things happened, and the times to be what the clock showed.
func (c *clocked) wantOrder() {
	c.t.Helper()
	var jumps []time.Duration
	var before eventstore.Envelope
	seen := 0
	for env, err := range c.server.house.log.ReadAll(c.t.Context(), 0) {
		if err != nil {
			c.t.Fatal(err)
		}
		if env.Position != before.Position+1 {
			c.t.Errorf("after position %d stands %d", before.Position, env.Position)
		}
		if d := env.Time.Sub(before.Time).Round(time.Hour); before.Position > 0 && d != 0 {
			jumps = append(jumps, d)
		}
		if env.Type == (device.Seen{}).EventType() {
			seen++
		}
		before = env
	}
	if want := "[-1h0m0s 25h0m0s -24h0m0s]"; fmt.Sprint(jumps) != want {
		c.t.Errorf("the clock of the log jumped by %v, want %s", jumps, want)
	}
	if seen != 1 {
		c.t.Errorf("the device was seen %d times, want 1: when the clock was right again", seen)
	}
}

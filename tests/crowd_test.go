package tests

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A tally is what the log says of one device's commands.
type tally struct {
	queued    []string       // in order
	delivered []string       // each when it was delivered first
	ended     map[string]int // how often
	deferred  int
}

// tallies sorts the log by device.
func tallies(v *vault) map[eventstore.Stream]*tally {
	all := map[eventstore.Stream]*tally{}
	for _, r := range v.history() {
		if r.Stream.Kind != device.Kind {
			continue
		}
		one := all[r.Stream]
		if one == nil {
			one = &tally{ended: map[string]int{}}
			all[r.Stream] = one
		}
		switch e := r.event.(type) {
		case device.CommandQueued:
			one.queued = append(one.queued, e.UUID)
		case device.CommandDelivered:
			if e.Attempt == 1 {
				one.delivered = append(one.delivered, e.UUID)
			}
		case device.CommandAcknowledged:
			one.ended[e.UUID]++
		case device.CommandFailed:
			one.ended[e.UUID]++
		case device.CommandDeferred:
			one.deferred++
		case device.ResultUnmatched:
			v.t.Errorf("%s: an answer found no command: %+v", r.Stream, e)
		}
	}
	return all
}

// TestNotNowUnderLoad gives many devices many commands, of which they defer some: each ends once, on the device and in
// the log, and those that were never deferred are carried out in order.
func TestNotNowUnderLoad(t *testing.T) {
	t.Parallel()
	const devices, commands = 200, 20
	h := newHost(t)
	h.start()
	wire, ctx := &mdmtest.Direct{}, bounded(t)
	load := mdmtest.Load{
		Devices:     h.fleet(mdmtest.Fleet{Size: devices, Seed: 5, Habits: mdmtest.Habits{NotNow: 0.05}, Wire: wire}),
		Concurrency: 64, Watch: &mdmtest.Stopwatch{}, Orderer: &mdmtest.Orderer{URL: h.url(), Token: h.token(), Wire: wire},
		Questions: []mdmtest.Question{{RequestType: "SecurityInfo"}, {RequestType: "CertificateList"}, {RequestType: "DeviceInformation", Keys: mdmtest.Inventory[0].Keys}},
	}
	load.Prepare()
	for _, p := range []mdmtest.Phase{load.Enrol(ctx), load.Order(ctx, commands), load.Answer(ctx)} {
		if p.Failed > 0 {
			t.Fatalf("%s: %d devices failed, the first so: %s", p.Name, p.Failed, p.First)
		}
	}
	if err := load.Audit().Err(); err != nil {
		t.Error(err)
	}
	h.stop()
	deferred, all := 0, tallies(h.open())
	for stream, one := range all {
		deferred += one.deferred
		if len(one.queued) != commands || !slices.Equal(one.queued, one.delivered) {
			t.Errorf("%s was to get %q and got %q", stream, one.queued, one.delivered)
		}
		for _, uuid := range one.queued {
			if one.ended[uuid] != 1 {
				t.Errorf("%s: %s has ended %d times", stream, uuid, one.ended[uuid])
			}
		}
	}
	if said := load.Outcomes()["NotNow"]; len(all) != devices || deferred != said || deferred < devices*commands/100 {
		t.Errorf("%d devices said NotNow %d times; the log has %d devices and %d deferrals", devices, said, len(all), deferred)
	}
}

// TestTwentyCommandsAtOnce queues commands for one device, all at the same moment, while it sleeps and while it is
// fetching them. All arrive, once, in the order in which the log took them.
func TestTwentyCommandsAtOnce(t *testing.T) {
	t.Parallel()
	const commands = 20
	for name, awake := range map[string]bool{"asleep": false, "awake": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.start()
			d := h.fleet(mdmtest.Fleet{Size: 1, Seed: 3})[0]
			if err := d.Enrol(t.Context()); err != nil {
				t.Fatal(err)
			}
			var accepted atomic.Int64
			failed := make(chan error, commands)
			start, wire, token := make(chan struct{}), &mdmtest.Direct{}, h.token()
			var all sync.WaitGroup
			for range commands {
				all.Go(func() {
					<-start
					failed <- enqueue(t, wire, h.url(), token, d.ID(), mdmtest.NewUUID())
					accepted.Add(1)
				})
			}
			close(start)
			if !awake {
				all.Wait()
			}
			var got []string
			until(t, "the device has had all commands", func() bool {
				last := accepted.Load() == commands // before the device asks
				done, err := d.Session(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, one := range done {
					got = append(got, one.UUID)
				}
				return last && len(done) == 0
			})
			all.Wait()
			close(failed)
			for err := range failed {
				if err != nil {
					t.Error(err)
				}
			}
			h.stop()
			for stream, one := range tallies(h.open()) {
				if len(one.queued) != commands || !slices.Equal(one.queued, got) || len(one.ended) != commands {
					t.Errorf("%s: the log took %q, the device got %q", stream, one.queued, got)
				}
			}
		})
	}
}

// enqueue queues a SecurityInfo for one device.
func enqueue(t *testing.T, wire mdmtest.Wire, url, token, id, uuid string) error {
	t.Helper()
	a, err := wire.Send(t.Context(), mdmtest.Request{
		URL: url + "/v1/enqueue/" + id + "?nopush=1", Header: basic(token), Body: mdmtest.RawCommand(mdmtest.Question{RequestType: "SecurityInfo"}, uuid),
	})
	if err == nil && a.Status != http.StatusOK {
		err = errors.New(fmt.Sprint(a.Status, " ", string(a.Body)))
	}
	return err
}

package push_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
	"github.com/rollcall-mdm/rollcall/projections"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A house is a notifier with a real log behind it and a make-believe APNs before it.
type house struct {
	t       *testing.T
	apns    *apnstest.Server
	way     *push.APNs
	devices *eventstore.Repository[device.Device, domain.Event]
	certs   *eventstore.Repository[pushcert.PushCertificate, domain.Event]
	list    *list
	log     eventstore.Log
	codec   eventstore.Codec[domain.Event]
	sender  push.Sender // way if nil
	output  *output
}

func build(t *testing.T, o apnstest.Options) *house {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	h := &house{t: t, apns: start(t, o), log: log, output: &output{}}
	h.way = way(t, h.apns)
	h.codec = &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	h.devices = &eventstore.Repository[device.Device, domain.Event]{
		Log: log, Codec: h.codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size,
	}
	h.certs = &eventstore.Repository[pushcert.PushCertificate, domain.Event]{
		Log: log, Codec: h.codec, Kind: pushcert.Kind, Fold: pushcert.PushCertificate.Evolve,
	}
	h.list = follow(t, log, h.codec)
	return h
}

// notifier returns a notifier that is in a hurry.
func (h *house) notifier() *push.Notifier {
	n := &push.Notifier{
		Views: h.list, Devices: h.devices, Certificates: h.certs, Sender: h.way, Log: slog.New(slog.NewTextHandler(h.output, nil)),
		FirstWait: time.Millisecond, LongWait: 20 * time.Millisecond, Pause: time.Millisecond, Coalesce: time.Millisecond,
	}
	if h.sender != nil {
		n.Sender = h.sender
	}
	return n
}

// run runs the notifier until the returned function is called, or the test ends.
func (h *house) run(n *push.Notifier) (stop func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				h.t.Errorf("Run = %v", err)
			}
		case <-time.After(20 * time.Second):
			h.t.Error("Run does not end")
		}
	})
	h.t.Cleanup(stop)
	return stop
}

// store stores a push certificate that is good until notAfter.
func (h *house) store(topic string, notAfter time.Time) {
	h.t.Helper()
	pem, key, err := h.apns.PushCertificate(topic, notAfter)
	if err != nil {
		h.t.Fatal(err)
	}
	stored, err := pushcert.Read(append(pem, key...), nil)
	if err != nil {
		h.t.Fatal(err)
	}
	_, err = h.certs.Update(h.t.Context(), stored.Topic, eventstore.Meta{}, func(p pushcert.PushCertificate, _ time.Time) ([]domain.Event, error) {
		return p.Store(stored, stored.NotBefore)
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) change(id string, decide func(d device.Device, at time.Time) ([]domain.Event, error)) {
	h.t.Helper()
	if _, err := h.devices.Update(context.Background(), id, eventstore.Meta{}, decide); err != nil {
		h.t.Error(err)
	}
}

// enrol enrols devices d0, d1 … with tokens of their own.
func (h *house) enrol(topic string, ids ...string) {
	h.t.Helper()
	each(ids, func(id string) {
		h.change(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Authenticate(device.Authenticate{Topic: topic, Certificate: device.Certificate{Fingerprint: id}}, at)
		})
		h.token(id, "", []byte(id))
	})
}

// each does something for each device, many at once.
func each(ids []string, do func(id string)) {
	var g errgroup.Group
	g.SetLimit(64)
	for _, id := range ids {
		g.Go(func() error { do(id); return nil })
	}
	_ = g.Wait()
}

// token gives a channel push data; its magic is "magic of " and the token.
func (h *house) token(id string, channel device.ChannelID, token []byte) {
	h.t.Helper()
	h.change(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Channel: channel, Topic: d.Topic, Token: token, PushMagic: "magic of " + string(token)}, at)
	})
}

// order queues a command for each device.
func (h *house) order(ids ...string) {
	h.t.Helper()
	each(ids, func(id string) {
		h.change(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Order("", order(), false, at)
		})
	})
}

func order() device.Order {
	return device.Order{UUID: eventstore.NewUUID().String(), RequestType: "ProfileList", Body: []byte("<plist/>")}
}

// events returns what happened to a device, as far as pushes go.
func (h *house) events(id string) (events []domain.Event, actors []eventstore.Actor) {
	h.t.Helper()
	for env, err := range h.log.ReadStream(context.Background(), eventstore.Stream{Kind: device.Kind, ID: id}, 0, eventstore.Forward) {
		if err != nil {
			h.t.Fatal(err)
		}
		event, err := h.codec.Decode(env)
		if err != nil {
			h.t.Fatal(err)
		}
		switch event.(type) {
		case device.PushAccepted, device.PushRefused:
			events, actors = append(events, event), append(actors, env.Actor)
		}
	}
	return events, actors
}

// accepted waits until Apple has taken a push for each device and the list is empty.
func (h *house) quiet() {
	h.t.Helper()
	eventually(h.t, "nothing is due", func() bool {
		head, err := h.log.Head(context.Background())
		return err == nil && h.list.Position() == head && h.list.len() == 0
	})
}

func names(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return ids
}

// An output keeps what the program logs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) count(what string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Count(o.text.Bytes(), []byte(what))
}

// A list is the simplest list of what is due: a push that failed is due at once.
type list struct {
	mu       sync.Mutex
	position eventstore.Position
	passed   chan struct{}
	waits    map[projections.Wakeup]bool // something is to be fetched
	due      []projections.Wakeup
}

func follow(t *testing.T, log eventstore.Log, codec eventstore.Codec[domain.Event]) *list {
	l := &list{passed: make(chan struct{}), waits: map[projections.Wakeup]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for envs, err := range log.Follow(ctx, 0) {
			if err != nil {
				return
			}
			for _, env := range envs {
				e, err := codec.Decode(env)
				if err != nil {
					t.Error(err)
				}
				l.fold(env, e)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return l
}

func (l *list) fold(env eventstore.Envelope, e domain.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := projections.Wakeup{Device: env.Stream.ID, Attempt: 1}
	strike := func() { l.due = slices.DeleteFunc(l.due, func(row projections.Wakeup) bool { return row == w }) }
	add := func() {
		strike()
		l.due = append(l.due, w)
	}
	switch e := e.(type) {
	case device.CommandQueued:
		w.Channel = e.Channel
		l.waits[w] = true
		add()
	case device.PushRequested:
		w.Channel = e.Channel
		add()
	case device.TokenUpdated:
		if w.Channel = e.Channel; l.waits[w] {
			add()
		}
	case device.PushAccepted:
		w.Channel = e.Channel
		strike()
	case device.PushRefused:
		if w.Channel = e.Channel; e.Final {
			strike()
		}
	}
	l.position = env.Position
	close(l.passed)
	l.passed = make(chan struct{})
}

func (l *list) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.due)
}

func (l *list) Due(_ context.Context, _ time.Time, limit int) ([]projections.Wakeup, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.due[:min(limit, len(l.due))]), nil
}

func (l *list) NextDue(context.Context) (time.Time, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now(), len(l.due) > 0, nil
}

func (l *list) Position() eventstore.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.position
}

func (l *list) Advanced(after eventstore.Position) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.position > after {
		done := make(chan struct{})
		close(done)
		return done
	}
	return l.passed
}

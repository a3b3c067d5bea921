package esdbtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"go.uber.org/goleak"
	"google.golang.org/grpc/status"

	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// play starts a server and the official client before it, with nothing of ours in between.
func play(t *testing.T, options esdbtest.Options) (*esdbtest.Server, *client.Client) {
	t.Helper()
	s, err := esdbtest.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	config, err := client.ParseConnectionString(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = client.NoopLogging()
	c, err := client.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return s, c
}

func event(n byte) client.EventData {
	return client.EventData{
		EventID: [16]byte{n}, EventType: "seen", ContentType: client.ContentTypeJson, Data: fmt.Appendf(nil, `{"n":%d}`, n), Metadata: []byte(`{"m":1}`),
	}
}

func events(ns ...byte) (events []client.EventData) {
	for _, n := range ns {
		events = append(events, event(n))
	}
	return events
}

func codeOf(err error) client.ErrorCode {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Code()
	}
	return -1 // no error of the client
}

// TestAppend plays the rules of expected revisions and of event ids, one after the other on one stream.
func TestAppend(t *testing.T) {
	_, c := play(t, esdbtest.Options{})
	const wrong, good = client.ErrorCodeWrongExpectedVersion, client.ErrorCode(-1)
	for i, step := range []struct {
		says     string
		expected client.ExpectedRevision
		ids      []byte
		code     client.ErrorCode
		last     uint64
	}{
		{"a stream that should be there", client.StreamExists{}, []byte{1}, wrong, 0},
		{"a revision of no stream", client.Revision(0), []byte{1}, wrong, 0},
		{"the first events", client.NoStream{}, []byte{1, 2, 3}, good, 2},
		{"the same again", client.NoStream{}, []byte{1, 2, 3}, good, 2},
		{"the first of the same", client.NoStream{}, []byte{1}, good, 0},
		{"the last of the same", client.Revision(1), []byte{3}, good, 2},
		{"the same and more", client.NoStream{}, []byte{1, 2, 3, 4}, wrong, 0},
		{"the same but for one", client.NoStream{}, []byte{1, 9, 3}, wrong, 0},
		{"others at that place", client.NoStream{}, []byte{9}, wrong, 0},
		{"the same at another place", client.Revision(0), []byte{1}, wrong, 0},
		{"beyond the end", client.Revision(7), []byte{9}, wrong, 0},
		{"the next", client.Revision(2), []byte{4}, good, 3},
		{"whatever is there", client.Any{}, []byte{5}, good, 4},
		{"the same, whatever is there", client.Any{}, []byte{5}, good, 4},
		{"a stream that exists", client.StreamExists{}, []byte{6}, good, 5},
	} {
		result, err := c.AppendToStream(t.Context(), "a-1", client.AppendToStreamOptions{ExpectedRevision: step.expected}, events(step.ids...)...)
		if codeOf(err) != step.code {
			t.Fatalf("%d, %s: %v", i, step.says, err)
		}
		if err == nil && result.NextExpectedVersion != step.last {
			t.Errorf("%d, %s: the last revision is %d, want %d", i, step.says, result.NextExpectedVersion, step.last)
		}
	}
}

func recv(t *testing.T, stream *client.ReadStream, err error) (events []*client.RecordedEvent, _ error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, e.Event)
	}
}

func revisions(events []*client.RecordedEvent) (revisions []uint64) {
	for _, e := range events {
		revisions = append(revisions, e.EventNumber)
	}
	return revisions
}

func TestReadStream(t *testing.T) {
	_, c := play(t, esdbtest.Options{Now: func() time.Time { return time.Unix(1, 200).UTC() }})
	if _, err := c.AppendToStream(t.Context(), "a-1", client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}}, events(1, 2, 3)...); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]struct {
		options client.ReadStreamOptions
		count   uint64
		want    []uint64
	}{
		"all":                       {client.ReadStreamOptions{From: client.Start{}}, 10, []uint64{0, 1, 2}},
		"two":                       {client.ReadStreamOptions{From: client.Start{}}, 2, []uint64{0, 1}},
		"from the second":           {client.ReadStreamOptions{From: client.Revision(1)}, 10, []uint64{1, 2}},
		"backward":                  {client.ReadStreamOptions{From: client.End{}, Direction: client.Backwards}, 10, []uint64{2, 1, 0}},
		"backward from the second":  {client.ReadStreamOptions{From: client.Revision(1), Direction: client.Backwards}, 10, []uint64{1, 0}},
		"backward from the beyond":  {client.ReadStreamOptions{From: client.Revision(9), Direction: client.Backwards}, 1, []uint64{2}},
		"forward from the beyond":   {client.ReadStreamOptions{From: client.Revision(9)}, 1, nil},
		"backward before the start": {client.ReadStreamOptions{From: client.Start{}, Direction: client.Backwards}, 9, []uint64{0}},
	} {
		stream, err := c.ReadStream(t.Context(), "a-1", read.options, read.count)
		got, err := recv(t, stream, err)
		if err != nil || !slices.Equal(revisions(got), read.want) {
			t.Errorf("%s: %v, %v; want %v", name, revisions(got), err, read.want)
		}
		if len(got) > 0 && !got[0].CreatedDate.Equal(time.Unix(1, 200)) {
			t.Errorf("%s: created %s", name, got[0].CreatedDate)
		}
	}
	stream, err := c.ReadStream(t.Context(), "a-2", client.ReadStreamOptions{}, 1)
	if _, err := recv(t, stream, err); codeOf(err) != client.ErrorCodeResourceNotFound {
		t.Errorf("a stream that does not exist: %v", err)
	}
}

func TestReadAll(t *testing.T) {
	s, c := play(t, esdbtest.Options{Noise: 1})
	for i := range byte(4) {
		if _, err := c.AppendToStream(t.Context(), "a-1", client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, event(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := c.ReadAll(t.Context(), client.ReadAllOptions{From: client.Start{}}, 100)
	all, err := recv(t, stream, err)
	if err != nil || len(all) != len(s.Events()) || len(all) < 9 {
		t.Fatalf("all is %d events of %d, %v", len(all), len(s.Events()), err)
	}
	for i, e := range all[1:] {
		if before := all[i].Position; e.Position.Commit <= before.Commit+1 || e.Position.Commit != e.Position.Prepare {
			t.Errorf("position %+v follows %+v", e.Position, before)
		}
	}
	middle := all[4].Position
	stream, err = c.ReadAll(t.Context(), client.ReadAllOptions{From: middle}, 1)
	if got, err := recv(t, stream, err); err != nil || got[0].Position != middle {
		t.Errorf("forward it begins with the position: %v, %v", got, err)
	}
	stream, err = c.ReadAll(t.Context(), client.ReadAllOptions{From: middle, Direction: client.Backwards}, 1)
	if got, err := recv(t, stream, err); err != nil || got[0].Position != all[3].Position {
		t.Errorf("backward it begins before the position: %v, %v", got, err)
	}
	stream, err = c.ReadAll(t.Context(), client.ReadAllOptions{From: client.Position{Commit: middle.Commit + 1, Prepare: middle.Commit + 1}}, 1)
	if _, err := recv(t, stream, err); err == nil {
		t.Error("a position between two events was taken")
	}
}

func TestSubscribe(t *testing.T) {
	s, c := play(t, esdbtest.Options{Noise: 2})
	for i := range byte(100) {
		if _, err := c.AppendToStream(t.Context(), "a-1", client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, event(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	sub, err := c.SubscribeToAll(ctx, client.SubscribeToAllOptions{
		From: client.Start{}, Filter: client.ExcludeSystemEventsFilter(), MaxSearchWindow: 10, CheckpointInterval: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	seen, caughtUp, checkpoints := 0, 0, 0
	for seen < 101 {
		switch e := sub.Recv(); {
		case e.SubscriptionDropped != nil:
			t.Fatal(e.SubscriptionDropped.Error)
		case e.CheckPointReached != nil:
			checkpoints++
		case e.CaughtUp != nil:
			caughtUp++
			if _, err := c.AppendToStream(ctx, "a-1", client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, event(200)); err != nil {
				t.Fatal(err)
			}
		case e.EventAppeared != nil:
			if seen++; e.EventAppeared.Event.EventType != "seen" {
				t.Errorf("%s came through the filter", e.EventAppeared.Event.EventType)
			}
		}
	}
	if caughtUp != 1 || checkpoints != 7 {
		t.Errorf("it caught up %d times, with %d checkpoints", caughtUp, checkpoints)
	}
	s.Stop()
	if e := sub.Recv(); e.SubscriptionDropped == nil {
		t.Error("the server stopped, and the subscription went on")
	}
}

func TestSubscribeToStream(t *testing.T) {
	_, c := play(t, esdbtest.Options{Noise: 1})
	for i := range byte(4) {
		if _, err := c.AppendToStream(t.Context(), fmt.Sprintf("a-%d", i%2), client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, event(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	sub, err := c.SubscribeToStream(t.Context(), "a-1", client.SubscribeToStreamOptions{From: client.Revision(0)})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if e := sub.Recv(); e.EventAppeared == nil || e.EventAppeared.Event.EventNumber != 1 || e.EventAppeared.Event.StreamID != "a-1" {
		t.Errorf("after revision 0 came %+v", e)
	}
	if e := sub.Recv(); e.CaughtUp == nil {
		t.Errorf("then came %+v", e)
	}
}

func TestDelete(t *testing.T) {
	_, c := play(t, esdbtest.Options{})
	write := func(expected client.ExpectedRevision, n byte) (*client.WriteResult, error) {
		return c.AppendToStream(t.Context(), "a-1", client.AppendToStreamOptions{ExpectedRevision: expected}, event(n))
	}
	read := func() ([]*client.RecordedEvent, error) {
		stream, err := c.ReadStream(t.Context(), "a-1", client.ReadStreamOptions{From: client.Start{}}, 10)
		return recv(t, stream, err)
	}
	if _, err := write(client.NoStream{}, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteStream(t.Context(), "a-1", client.DeleteStreamOptions{ExpectedRevision: client.Any{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); codeOf(err) != client.ErrorCodeResourceNotFound {
		t.Errorf("a stream that was deleted: %v", err)
	}
	if result, err := write(client.NoStream{}, 2); err != nil || result.NextExpectedVersion != 1 {
		t.Errorf("it goes on where it ended: %v, %v", result, err)
	}
	if got, err := read(); err != nil || !slices.Equal(revisions(got), []uint64{1}) {
		t.Errorf("it has %v, %v", revisions(got), err)
	}
	if _, err := c.TombstoneStream(t.Context(), "a-1", client.TombstoneStreamOptions{ExpectedRevision: client.Any{}}); err != nil {
		t.Fatal(err)
	}
	if _, err := write(client.Any{}, 3); codeOf(err) != client.ErrorCodeStreamDeleted {
		t.Errorf("an append to a tombstone: %v", err)
	}
	if _, err := read(); codeOf(err) != client.ErrorCodeStreamDeleted {
		t.Errorf("a read of a tombstone: %v", err)
	}
}

// The limit holds for all events of an append together.
func TestMaxAppend(t *testing.T) {
	s, c := play(t, esdbtest.Options{MaxAppend: 100})
	size := len(event(1).Data) + len(event(1).Metadata) + 2*len(event(1).EventType)
	fits := make([]client.EventData, 100/size)
	for i := range fits {
		fits[i] = event(byte(i))
	}
	options := client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}}
	fits[0].EventID = [16]byte{99}
	if _, err := c.AppendToStream(t.Context(), "a-1", options, fits...); err != nil {
		t.Fatal(err)
	}
	before := len(s.Events())
	if _, err := c.AppendToStream(t.Context(), "a-2", options, append(fits, event(77))...); err == nil {
		t.Error("more than fits was taken")
	}
	if after := len(s.Events()); after != before {
		t.Errorf("%d events of it were kept", after-before)
	}
}

// A stop cuts connections and keeps events.
func TestRestart(t *testing.T) {
	s, c := play(t, esdbtest.Options{})
	options := client.AppendToStreamOptions{ExpectedRevision: client.Any{}}
	if _, err := c.AppendToStream(t.Context(), "a-1", options, event(1)); err != nil {
		t.Fatal(err)
	}
	before, address := s.Events(), s.Addr()
	s.Stop()
	s.Stop()
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(); err == nil {
		t.Error("a server that runs was started")
	}
	if after := s.Events(); len(after) != len(before) || s.Addr() != address {
		t.Errorf("after the stop there are %d events at %s, want %d at %s", len(after), s.Addr(), len(before), address)
	}
}

// Faults happen to as many calls as they were meant for, in order.
func TestFaults(t *testing.T) {
	s, c := play(t, esdbtest.Options{})
	s.Inject(esdbtest.Fault{Kind: esdbtest.Refuse, Method: "Append", Code: 7})
	s.Inject(esdbtest.Fault{Kind: esdbtest.Forget, Method: "Append"})
	s.Inject(esdbtest.Fault{Kind: esdbtest.Refuse, Method: "Delete", Code: 9})
	options := client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}}
	if _, err := c.AppendToStream(t.Context(), "a-1", options, event(1)); codeOf(err) != client.ErrorCodeAccessDenied {
		t.Errorf("the first call: %v", err)
	}
	if n := s.Waiting(); n != 2 {
		t.Errorf("%d faults wait, want 2", n)
	}
	_, err := c.DeleteStream(t.Context(), "a-1", client.DeleteStreamOptions{ExpectedRevision: client.Any{}})
	if status.Code(err) != 9 {
		t.Errorf("the delete: %v", err)
	}
	s.Inject(esdbtest.Fault{Kind: esdbtest.Stall, Method: "Append"})
	_, _ = c.AppendToStream(t.Context(), "a-1", options) // it is called wrong, or not: there is nothing to write
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.AppendToStream(ctx, "a-1", options, event(1)); codeOf(err) != client.ErrorCodeDeadlineExceeded {
		t.Errorf("the stalled call: %v", err)
	}
	if n := s.Calls("Append"); n != 3 || s.Waiting() != 0 {
		t.Errorf("%d calls, %d faults wait", n, s.Waiting())
	}
}

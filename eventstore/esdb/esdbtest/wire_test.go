package esdbtest_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// dial speaks to the server with nobody's client in between.
func dial(t *testing.T, s *esdbtest.Server) streams.StreamsClient {
	t.Helper()
	conn, err := grpc.NewClient(s.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return streams.NewStreamsClient(conn)
}

// appendRaw appends n events of so many bytes to "a-1", which must have last as its last revision; -1 means no stream.
func appendRaw(ctx context.Context, c streams.StreamsClient, last int64, n, bytes int) (*streams.AppendResp, metadata.MD, error) {
	call, err := c.Append(ctx)
	if err != nil {
		return nil, nil, err
	}
	options := &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("a-1")},
		ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}},
	}
	if last >= 0 {
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(last)}
	}
	_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: options}}) // what is refused is said by the answer
	for i := range n {
		_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id:       &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: last + 2, LeastSignificantBits: int64(i + 1)}}},
			Metadata: map[string]string{"type": "seen", "content-type": "application/json"}, Data: make([]byte, bytes),
		}}})
	}
	answer, err := call.CloseAndRecv()
	return answer, call.Trailer(), err
}

// readRaw reads "a-1", or subscribes to it, until it ends or so many messages came.
func readRaw(ctx context.Context, c streams.StreamsClient, subscribe bool, most int) (messages []*streams.ReadResp, trailer metadata.MD, err error) {
	options := &streams.ReadReq_Options{
		StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("a-1")},
			RevisionOption:   &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		CountOption:  &streams.ReadReq_Options_Count{Count: 100},
		FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
		UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}
	if subscribe {
		options.CountOption = &streams.ReadReq_Options_Subscription{Subscription: &streams.ReadReq_Options_SubscriptionOptions{}}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := c.Read(ctx, &streams.ReadReq{Options: options})
	if err != nil {
		return nil, nil, err
	}
	for len(messages) < most {
		m, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return messages, call.Trailer(), nil
		}
		if err != nil {
			return messages, call.Trailer(), err
		}
		messages = append(messages, m)
	}
	return messages, nil, nil
}

func started(t *testing.T, options esdbtest.Options) (*esdbtest.Server, streams.StreamsClient) {
	t.Helper()
	s, err := esdbtest.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, dial(t, s)
}

func wants(t *testing.T, err error, code codes.Code, trailer metadata.MD, pairs ...string) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("the answer is %v, want %s", err, code)
	}
	for i := 0; i < len(pairs); i += 2 {
		if got := trailer.Get(pairs[i]); len(got) != 1 || got[0] != pairs[i+1] {
			t.Errorf("the trailer %s is %q, want %q", pairs[i], got, pairs[i+1])
		}
	}
}

func TestRevisionsCountFromZeroAndPositionsHaveGaps(t *testing.T) {
	_, c := started(t, esdbtest.Options{})
	answer, _, err := appendRaw(t.Context(), c, -1, 3, 10)
	if err != nil || answer.GetSuccess().GetCurrentRevision() != 2 {
		t.Fatalf("%v, %v", answer, err)
	}
	messages, _, err := readRaw(t.Context(), c, false, 10)
	if err != nil || len(messages) != 3 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	for i, m := range messages {
		e := m.GetEvent().GetEvent()
		if e.GetStreamRevision() != uint64(i) {
			t.Errorf("event %d has revision %d", i, e.GetStreamRevision())
		}
		if i > 0 && e.GetCommitPosition() < messages[i-1].GetEvent().GetEvent().GetCommitPosition()+2 {
			t.Errorf("event %d stands at %d, right after the one before", i, e.GetCommitPosition())
		}
	}
}

func TestEveryEventSaysWhenItWasCreated(t *testing.T) {
	at := time.Date(2026, 11, 26, 12, 0, 0, 700, time.UTC)
	_, c := started(t, esdbtest.Options{Now: func() time.Time { return at }})
	if _, _, err := appendRaw(t.Context(), c, -1, 1, 10); err != nil {
		t.Fatal(err)
	}
	messages, _, err := readRaw(t.Context(), c, false, 1)
	if err != nil {
		t.Fatal(err)
	}
	if created := messages[0].GetEvent().GetEvent().GetMetadata()["created"]; created != strconv.FormatInt(at.UnixNano()/100, 10) {
		t.Errorf("created is %q, want ticks of 100 ns since 1970", created)
	}
}

func TestWrongExpectedVersionIsAnAnswerAndNoStatus(t *testing.T) {
	_, c := started(t, esdbtest.Options{})
	answer, _, err := appendRaw(t.Context(), c, 4, 1, 10)
	wrong := answer.GetWrongExpectedVersion()
	if err != nil || wrong == nil || wrong.GetExpectedRevision() != 4 || wrong.GetCurrentNoStream() == nil {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestATombstoneIsSaidByTrailers(t *testing.T) {
	_, c := started(t, esdbtest.Options{})
	if _, _, err := appendRaw(t.Context(), c, -1, 1, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tombstone(t.Context(), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("a-1")},
		ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
	}}); err != nil {
		t.Fatal(err)
	}
	_, trailer, err := appendRaw(t.Context(), c, 0, 1, 10)
	wants(t, err, codes.FailedPrecondition, trailer, "exception", "stream-deleted", "stream-name", "a-1")
	_, trailer, err = readRaw(t.Context(), c, false, 1)
	wants(t, err, codes.FailedPrecondition, trailer, "exception", "stream-deleted", "stream-name", "a-1")
}

func TestAFollowerNamesTheLeaderByTrailersToWhoeverWantsIt(t *testing.T) {
	leader, _ := started(t, esdbtest.Options{})
	_, c := started(t, esdbtest.Options{Leader: leader})
	if _, _, err := appendRaw(t.Context(), c, -1, 1, 10); err != nil {
		t.Errorf("who wants no leader is served: %v", err)
	}
	host, port := leader.Addr()[:9], leader.Addr()[10:]
	ctx := metadata.AppendToOutgoingContext(t.Context(), "requires-leader", "true")
	_, trailer, err := appendRaw(ctx, c, 0, 1, 10)
	wants(t, err, codes.NotFound, trailer, "exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", port)
	_, trailer, err = readRaw(ctx, c, false, 1)
	wants(t, err, codes.NotFound, trailer, "exception", "not-leader")
}

func TestAnAppendOfMoreThanAMebibyteIsRefused(t *testing.T) {
	s, c := started(t, esdbtest.Options{})
	_, trailer, err := appendRaw(t.Context(), c, -1, 2, 600<<10)
	wants(t, err, codes.InvalidArgument, trailer, "exception", "maximum-append-size-exceeded", "maximum-append-size", "1048576")
	if _, _, err := appendRaw(t.Context(), c, -1, 1, 1000<<10); err != nil {
		t.Errorf("less is taken: %v", err)
	}
	if n := len(s.Events()); n != 2 { // the other one is the server's own
		t.Errorf("%d events are kept", n)
	}
}

func TestALostAnswerLeavesTheEventsCommitted(t *testing.T) {
	s, c := started(t, esdbtest.Options{})
	s.Inject(esdbtest.Fault{Kind: esdbtest.Lose, Method: "Append"})
	_, _, err := appendRaw(t.Context(), c, -1, 2, 10)
	wants(t, err, codes.Unavailable, nil)
	answer, _, err := appendRaw(t.Context(), c, -1, 2, 10)
	if err != nil || answer.GetSuccess().GetCurrentRevision() != 1 {
		t.Errorf("the same again is success: %v, %v", answer, err)
	}
	if messages, _, err := readRaw(t.Context(), c, false, 10); err != nil || len(messages) != 2 {
		t.Errorf("there are %d events, want 2 (%v)", len(messages), err)
	}
}

func TestARefusedCallIsUnavailable(t *testing.T) {
	s, c := started(t, esdbtest.Options{})
	s.Inject(esdbtest.Fault{Kind: esdbtest.Refuse, Method: "Append"})
	_, _, err := appendRaw(t.Context(), c, -1, 1, 10)
	wants(t, err, codes.Unavailable, nil)
	if n := len(s.Events()); n != 1 {
		t.Errorf("%d events are kept, want the server's own alone", n)
	}
}

func TestASubscriptionIsDroppedAfterSoManyEvents(t *testing.T) {
	s, c := started(t, esdbtest.Options{})
	if _, _, err := appendRaw(t.Context(), c, -1, 5, 10); err != nil {
		t.Fatal(err)
	}
	s.Inject(esdbtest.Fault{Kind: esdbtest.Drop, Method: "Read", After: 3})
	messages, _, err := readRaw(t.Context(), c, true, 100)
	wants(t, err, codes.Unavailable, nil)
	if len(messages) != 4 || messages[0].GetConfirmation() == nil {
		t.Errorf("%d messages came, want the confirmation and three events", len(messages))
	}
}

func TestASubscriptionSaysOnceThatItHasCaughtUp(t *testing.T) {
	s, c := started(t, esdbtest.Options{})
	s.Seed("a-1", "seen", nil, []byte("{}"))
	messages, _, err := readRaw(t.Context(), c, true, 3)
	if err != nil || messages[0].GetConfirmation() == nil || messages[1].GetEvent() == nil || messages[2].GetCaughtUp() == nil {
		t.Errorf("%v, %v; want the confirmation, an event, and that it has caught up", messages, err)
	}
}

func TestAnUnknownMessageComesAmongTheEvents(t *testing.T) {
	s, c := started(t, esdbtest.Options{})
	if _, _, err := appendRaw(t.Context(), c, -1, 3, 10); err != nil {
		t.Fatal(err)
	}
	s.Inject(esdbtest.Fault{Kind: esdbtest.Strange, Method: "Read", After: 1})
	messages, _, err := readRaw(t.Context(), c, false, 10)
	if err != nil || len(messages) != 4 || messages[1].GetEvent() != nil {
		t.Errorf("%d messages, %v; want a strange one after the first event", len(messages), err)
	}
}

func TestASlowReadBringsAll(t *testing.T) {
	s, c := started(t, esdbtest.Options{})
	if _, _, err := appendRaw(t.Context(), c, -1, 3, 10); err != nil {
		t.Fatal(err)
	}
	s.Inject(esdbtest.Fault{Kind: esdbtest.Slow, Method: "Read", Pace: time.Millisecond})
	if messages, _, err := readRaw(t.Context(), c, false, 10); err != nil || len(messages) != 3 {
		t.Errorf("%d messages, %v", len(messages), err)
	}
	s.Inject(esdbtest.Fault{Kind: esdbtest.Slow, Method: "Read", Pace: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := readRaw(ctx, c, false, 10); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("an hour between two events: %v", err)
	}
}

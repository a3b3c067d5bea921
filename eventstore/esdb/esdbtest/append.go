package esdbtest

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// Append answers the client's call of that name.
func (s *Server) Append(call streams.Streams_AppendServer) error {
	fault, err := s.meet(call.Context(), "Append")
	if err != nil {
		return err
	}
	if err := s.onlyLeader(call.Context()); err != nil {
		return err
	}
	options, events, err := s.receive(call)
	if err != nil {
		return err
	}
	if fault != nil && fault.Kind == Forget {
		events = nil // so there are no ids to know again
	}
	answer, err := s.store.append(options, events)
	if err != nil {
		return err
	}
	if fault != nil && fault.Kind == Lose {
		return status.Error(codes.Unavailable, "the connection was lost before the answer")
	}
	return call.SendAndClose(answer)
}

// receive takes the whole request in. Too much of it is refused while it is being sent.
func (s *Server) receive(call streams.Streams_AppendServer) (*streams.AppendReq_Options, []*Event, error) {
	first, err := call.Recv()
	if err != nil {
		return nil, nil, err
	}
	options := first.GetOptions()
	if options.GetStreamIdentifier() == nil || options.GetExpectedStreamRevision() == nil {
		return nil, nil, status.Error(codes.InvalidArgument, "want the stream and the expected revision first")
	}
	var events []*Event
	size := 0
	for {
		request, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return options, events, nil
		}
		if err != nil {
			return nil, nil, err
		}
		e, err := proposed(request.GetProposedMessage())
		if err != nil {
			return nil, nil, status.Error(codes.InvalidArgument, err.Error())
		}
		if size += e.size(); size > s.options.MaxAppend {
			return nil, nil, s.tooLarge(call)
		}
		events = append(events, e)
	}
}

func (s *Server) tooLarge(call grpc.ServerStream) error {
	call.SetTrailer(metadata.Pairs("exception", "maximum-append-size-exceeded",
		"maximum-append-size", strconv.Itoa(s.options.MaxAppend)))
	return status.Errorf(codes.InvalidArgument, "Maximum Append Size of %d Exceeded.", s.options.MaxAppend)
}

// proposed reads an event from the wire.
func proposed(m *streams.AppendReq_ProposedMessage) (*Event, error) {
	if m == nil {
		return nil, errors.New("want an event after the options")
	}
	id, err := idFrom(m.GetId())
	if err != nil {
		return nil, err
	}
	kind, ok := m.GetMetadata()["type"]
	content, said := m.GetMetadata()["content-type"]
	if !ok || !said {
		return nil, errors.New("an event wants a type and a content-type")
	}
	return &Event{
		ID: id, Type: kind, JSON: content == "application/json",
		Metadata: m.GetCustomMetadata(), Data: m.GetData(),
	}, nil
}

// append decides what the database would decide, and writes.
func (s *store) append(options *streams.AppendReq_Options, events []*Event) (*streams.AppendResp, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := string(options.GetStreamIdentifier().GetStreamName())
	h := s.streams[name]
	if h == nil {
		h = new(history)
	}
	if h.tomb {
		return nil, streamDeleted(name)
	}
	switch verdict := h.judge(options, events); {
	case verdict.wrong:
		return wrongExpectedVersion(options, h), nil
	case len(verdict.before) > 0:
		return success(verdict.before), nil
	case len(events) == 0:
		return success(h.events), nil
	}
	s.write(name, events)
	return success(events), nil
}

// A verdict says what is to become of an append: it is wrong, or was done before, or shall be done.
type verdict struct {
	wrong  bool
	before []*Event
}

// judge compares the expected revision with the stream. Whoever expects less than there is may be repeating
// an append that succeeded: then the same ids stand at the next revisions.
func (h *history) judge(options *streams.AppendReq_Options, events []*Event) verdict {
	last := int64(len(h.events)) - 1
	var expected int64
	switch o := options.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Any:
		return verdict{before: h.known(events)}
	case *streams.AppendReq_Options_StreamExists:
		return verdict{wrong: len(h.events) == h.deleted, before: h.known(events)}
	case *streams.AppendReq_Options_NoStream:
		expected = -1
		if h.deleted > 0 && h.deleted == len(h.events) {
			expected = last // a stream that was deleted softly goes on where it ended
		}
	case *streams.AppendReq_Options_Revision:
		expected = int64(o.Revision)
	}
	if expected == last {
		return verdict{}
	}
	first := expected + 1
	if expected > last || first+int64(len(events))-1 > last || len(events) == 0 {
		return verdict{wrong: true}
	}
	before := h.events[first : first+int64(len(events))]
	return verdict{wrong: !sameIDs(before, events), before: before}
}

// known finds events that were written lately: without an expected revision, ids are remembered for a while.
func (h *history) known(events []*Event) []*Event {
	const while = 100
	for i := max(0, len(h.events)-while); len(events) > 0 && i+len(events) <= len(h.events); i++ {
		if before := h.events[i : i+len(events)]; sameIDs(before, events) {
			return before
		}
	}
	return nil
}

func sameIDs(a, b []*Event) bool {
	for i := range b {
		if a[i].ID != b[i].ID {
			return false
		}
	}
	return true
}

// success tells the last event's revision and position, and as the prepare position the first's.
func success(events []*Event) *streams.AppendResp {
	answer := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}},
		PositionOption:        &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}},
	}
	if len(events) > 0 {
		first, last := events[0], events[len(events)-1]
		answer.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: last.Revision}
		answer.PositionOption = &streams.AppendResp_Success_Position{
			Position: &streams.AppendResp_Position{CommitPosition: last.Position, PreparePosition: first.Position},
		}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: answer}}
}

// wrongExpectedVersion is an answer, not a status.
func wrongExpectedVersion(options *streams.AppendReq_Options, h *history) *streams.AppendResp {
	wrong := new(streams.AppendResp_WrongExpectedVersion)
	switch o := options.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_NoStream:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	case *streams.AppendReq_Options_StreamExists:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
	case *streams.AppendReq_Options_Revision:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: o.Revision}
	}
	wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
	if n := len(h.events); n > 0 {
		wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(n - 1)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrong}}
}

// A deletedError says that a stream has a tombstone. The interceptors give it its trailers.
type deletedError struct{ stream string }

func streamDeleted(name string) error { return deletedError{name} }

func (e deletedError) Error() string { return fmt.Sprintf("Event stream '%s' is deleted.", e.stream) }

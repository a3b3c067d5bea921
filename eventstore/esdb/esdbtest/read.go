package esdbtest

import (
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// Read answers the client's call of that name: a read of a stream or of $all, or a subscription.
func (s *Server) Read(request *streams.ReadReq, call streams.Streams_ReadServer) error {
	fault, err := s.meet(call.Context(), "Read")
	if err != nil {
		return err
	}
	if err := s.onlyLeader(call.Context()); err != nil {
		return err
	}
	options := request.GetOptions()
	sift, err := newSift(options.GetFilter())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	out := &outlet{call: call, options: options, fault: fault, sift: sift}
	switch {
	case options.GetSubscription() != nil:
		return s.subscribe(out)
	case options.GetStream() != nil:
		return s.readStream(out)
	case options.GetAll() != nil:
		return s.readAll(out)
	}
	return status.Error(codes.InvalidArgument, "want a stream or $all")
}

func (s *Server) readStream(out *outlet) error {
	o := out.options.GetStream()
	name := string(o.GetStreamIdentifier().GetStreamName())
	events, found, tomb := s.store.stream(name)
	if tomb {
		return streamDeleted(name)
	}
	if !found {
		return out.call.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{
			StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: o.GetStreamIdentifier()},
		}})
	}
	backward := out.options.GetReadDirection() == streams.ReadReq_Options_Backwards
	events = slices.DeleteFunc(slices.Clone(events), func(e *Event) bool {
		switch r := o.GetRevisionOption().(type) {
		case *streams.ReadReq_Options_StreamOptions_Revision:
			return backward && e.Revision > r.Revision || !backward && e.Revision < r.Revision
		case *streams.ReadReq_Options_StreamOptions_End:
			return !backward
		}
		return backward && e.Revision > 0
	})
	return out.events(events, backward)
}

func (s *Server) readAll(out *outlet) error {
	events, _ := s.store.since(0)
	backward := out.options.GetReadDirection() == streams.ReadReq_Options_Backwards
	switch o := out.options.GetAll().GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		i, ok := s.store.index(o.Position.GetCommitPosition())
		if !ok || o.Position.GetCommitPosition() != o.Position.GetPreparePosition() {
			return invalidPosition()
		}
		if backward {
			events = events[:i] // before the position; forward it is from the position on
		} else {
			events = events[i:]
		}
	case *streams.ReadReq_Options_AllOptions_End:
		if !backward {
			events = nil
		}
	default:
		if backward {
			events = nil
		}
	}
	return out.events(slices.Clone(events), backward)
}

func invalidPosition() error {
	return status.Error(codes.InvalidArgument, "the position is not the start of a record")
}

// events sends the events of a read, as many as were asked for.
func (o *outlet) events(events []*Event, backward bool) error {
	if backward {
		slices.Reverse(events)
	}
	for i, e := range events {
		if uint64(i) >= o.options.GetCount() {
			break
		}
		if err := o.send(e); err != nil {
			return err
		}
	}
	return nil
}

// recorded writes an event for the wire.
func recorded(e *Event, text bool) *streams.ReadResp_ReadEvent {
	content := "application/octet-stream"
	if e.JSON {
		content = "application/json"
	}
	return &streams.ReadResp_ReadEvent{
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: e.Position},
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id:               idTo(e.ID, text),
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(e.Stream)},
			StreamRevision:   e.Revision, PreparePosition: e.Position, CommitPosition: e.Position,
			Metadata: map[string]string{
				"type": e.Type, "content-type": content, "created": ticks(e.Created),
			},
			CustomMetadata: e.Metadata, Data: e.Data,
		},
	}
}

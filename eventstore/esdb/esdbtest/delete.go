package esdbtest

import (
	"context"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// Delete deletes a stream softly: it seems empty, and goes on where it ended when somebody writes to it.
// The expected revision is not looked at.
func (s *Server) Delete(ctx context.Context, request *streams.DeleteReq) (*streams.DeleteResp, error) {
	at, err := s.erase(ctx, "Delete", request.GetOptions().GetStreamIdentifier(), (*store).hide)
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: at, PreparePosition: at},
	}}, nil
}

// Tombstone deletes a stream for ever. The expected revision is not looked at.
func (s *Server) Tombstone(ctx context.Context, request *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	at, err := s.erase(ctx, "Tombstone", request.GetOptions().GetStreamIdentifier(), (*store).bury)
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: at, PreparePosition: at},
	}}, nil
}

// erase deletes a stream, and returns where in $all this is written.
func (s *Server) erase(ctx context.Context, method string, id *shared.StreamIdentifier, how func(*store, string, *history)) (uint64, error) {
	if _, err := s.meet(ctx, method); err != nil {
		return 0, err
	}
	name := string(id.GetStreamName())
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	h := s.store.streams[name]
	if h == nil {
		return 0, status.Errorf(codes.FailedPrecondition, "there is no stream %q", name)
	}
	if h.tomb {
		return 0, streamDeleted(name)
	}
	at := s.store.next
	how(s.store, name, h)
	return at, nil
}

// hide says in the stream's metadata that it is to be read only from its end.
func (s *store) hide(name string, h *history) {
	h.deleted = len(h.events)
	s.write("$$"+name, []*Event{{Type: "$metadata", JSON: true, Data: []byte(`{"$tb":9223372036854775807}`)}})
}

// bury writes the tombstone: the last event that a stream can have.
func (s *store) bury(name string, h *history) {
	h.tomb = true
	s.write(name, []*Event{{Type: "$streamDeleted"}})
	h.events[len(h.events)-1].Revision = math.MaxInt64
}

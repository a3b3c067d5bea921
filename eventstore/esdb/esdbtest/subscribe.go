package esdbtest

import (
	"crypto/rand"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// subscribe confirms, then sends the past after the asked place, says once that it has caught up, and goes on
// with the future until the caller leaves or the server stops.
func (s *Server) subscribe(out *outlet) error {
	next, wanted, err := s.begin(out)
	if err != nil {
		return err
	}
	confirmation := &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: rand.Text()}
	if err := out.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{Confirmation: confirmation}}); err != nil {
		return err
	}
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	for looked, caughtUp := 0, false; ; {
		events, news := s.store.since(next)
		next += len(events)
		if looked, err = out.pass(events, wanted, looked); err != nil {
			return err
		}
		if len(events) > 0 {
			continue // there may be more already
		}
		if !caughtUp {
			caughtUp = true
			if err := out.call.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}}); err != nil {
				return err
			}
		}
		if err := out.idle(); err != nil {
			return err
		}
		select {
		case <-news:
		case <-stopped:
			return status.Error(codes.Unavailable, "the server is stopping")
		case <-out.call.Context().Done():
			return out.call.Context().Err()
		}
	}
}

// idle lets a fault happen that has waited for the last event of the past.
func (o *outlet) idle() error {
	if o.fault != nil && o.fault.Kind == Drop && o.fault.After > 0 {
		return o.suffer()
	}
	return nil
}

// begin returns where in $all the subscription begins, and which events belong to it.
func (s *Server) begin(out *outlet) (next int, wanted func(*Event) bool, err error) {
	if o := out.options.GetStream(); o != nil {
		return s.beginStream(o)
	}
	wanted = out.sift.lets
	all, _ := s.store.since(0)
	switch o := out.options.GetAll().GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		i, ok := s.store.index(o.Position.GetCommitPosition())
		if !ok || o.Position.GetCommitPosition() != o.Position.GetPreparePosition() {
			return 0, nil, invalidPosition()
		}
		return i + 1, wanted, nil
	case *streams.ReadReq_Options_AllOptions_End:
		return len(all), wanted, nil
	}
	return 0, wanted, nil
}

func (s *Server) beginStream(o *streams.ReadReq_Options_StreamOptions) (next int, wanted func(*Event) bool, err error) {
	name := string(o.GetStreamIdentifier().GetStreamName())
	after := int64(-1)
	switch r := o.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		after = int64(r.Revision)
	case *streams.ReadReq_Options_StreamOptions_End:
		events, _, _ := s.store.stream(name)
		if n := len(events); n > 0 {
			after = int64(events[n-1].Revision)
		}
	}
	return 0, func(e *Event) bool { return e.Stream == name && int64(e.Revision) > after }, nil
}

// pass sends those events that are wanted, and with a filter a checkpoint now and then.
func (o *outlet) pass(events []*Event, wanted func(*Event) bool, looked int) (int, error) {
	for _, e := range events {
		if wanted(e) {
			if err := o.send(e); err != nil {
				return looked, err
			}
		}
		if looked++; o.sift == nil || looked%o.sift.interval != 0 {
			continue
		}
		checkpoint := &streams.ReadResp_Checkpoint{CommitPosition: e.Position, PreparePosition: e.Position}
		if err := o.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: checkpoint}}); err != nil {
			return looked, err
		}
	}
	return looked, nil
}

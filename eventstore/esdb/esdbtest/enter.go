package esdbtest

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// enterCall stands before every call of one message.
func (s *Server) enterCall(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := s.enter(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	answer, err := handle(ctx, request)
	return answer, s.explain(err, func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) })
}

// enterStream stands before every call of several messages.
func (s *Server) enterStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := s.enter(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return s.explain(handle(srv, stream), stream.SetTrailer)
}

// enter counts the call and checks who calls.
func (s *Server) enter(ctx context.Context, method string) error {
	s.mu.Lock()
	s.calls[path.Base(method)]++
	s.mu.Unlock()
	if s.options.User == "" {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(s.options.User+":"+s.options.Password))
	if given := md.Get("authorization"); len(given) == 1 && given[0] == want {
		return nil
	}
	return status.Error(codes.Unauthenticated, "Access Denied")
}

// explain adds to an error the trailers by which clients know it.
func (s *Server) explain(err error, trailer func(metadata.MD)) error {
	if deleted, ok := errors.AsType[deletedError](err); ok {
		trailer(metadata.Pairs("exception", "stream-deleted", "stream-name", deleted.stream))
		return status.Error(codes.FailedPrecondition, deleted.Error())
	}
	if _, ok := errors.AsType[notLeaderError](err); ok {
		md := metadata.Pairs("exception", "not-leader")
		if leader := s.cluster.leader(); leader != nil {
			host, port, _ := net.SplitHostPort(leader.Addr())
			md.Append("leader-endpoint-host", host)
			md.Append("leader-endpoint-port", port)
		}
		trailer(md)
		return status.Error(codes.NotFound, "Leader info available")
	}
	return err
}

// A notLeaderError says that only the leader does what was asked.
type notLeaderError struct{}

func (notLeaderError) Error() string { return "not the leader" }

// onlyLeader refuses a caller who wants the leader, if this is another node. Others are served: a follower
// forwards writes, and its reads may be stale.
func (s *Server) onlyLeader(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if wants := md.Get("requires-leader"); len(wants) == 0 || wants[0] != "true" {
		return nil
	}
	if s.cluster.leader() != s {
		return notLeaderError{}
	}
	return nil
}

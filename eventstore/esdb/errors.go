package esdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// errSilent says that one try took too long.
var errSilent = errors.New("the server is silent")

// A panicked error says that the client panicked.
type panicked struct{ value any }

func (p panicked) Error() string { return fmt.Sprintf("the EventStoreDB client panicked: %v", p.value) }

// An overtaken error says that the stream is not at the expected revision, and whether the same append was
// tried before: then it may have been overtaken by itself.
type overtaken struct{ tried bool }

func (overtaken) Error() string { return "wrong expected revision" }

// code returns what the client says of an error, however deep it wrapped it.
func code(err error) client.ErrorCode {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Code()
	}
	return client.ErrorCodeUnknown
}

// said returns the server's own status in an error, and whether there is one.
func said(err error) (codes.Code, bool) {
	s, ok := status.FromError(err)
	return s.Code(), ok && err != nil
}

// noStream reports that a stream does not exist. A server that knows no leader says NotFound, too, but by a
// status.
func noStream(err error) bool {
	_, status := said(err)
	return code(err) == client.ErrorCodeResourceNotFound && !status
}

// A fate is what a call has made of its client.
type fate int

const (
	well  fate = iota // as good as before
	spent             // not to be trusted any more
	lost              // without a server
)

// fateOf returns the fate of a client whose call ended with an error, or without.
func fateOf(err error) fate {
	if _, ok := errors.AsType[overtaken](err); ok || err == nil {
		return well
	}
	switch code(err) {
	case client.ErrorCodeResourceNotFound, client.ErrorCodeStreamDeleted, client.ErrorCodeAccessDenied, client.ErrorCodeNotLeader:
		return well // the client that heard who leads goes there by itself
	case client.ErrorUnavailable, client.ErrorCodeConnectionClosed:
		return lost
	}
	return spent
}

// final reports that to try again is in vain.
func final(err error) bool {
	if _, ok := errors.AsType[overtaken](err); ok || errors.Is(err, eventstore.ErrClosed) {
		return true
	}
	switch code(err) {
	case client.ErrorCodeStreamDeleted, client.ErrorCodeAccessDenied, client.ErrorCodeUnauthenticated, client.ErrorCodeUnsupportedFeature:
		return true
	}
	switch c, _ := said(err); c {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition, codes.Unimplemented:
		return true
	}
	return false
}

// clientLogger lets the client talk at the level of debugging: what matters we say ourselves.
func clientLogger(logger *slog.Logger) client.LoggingFunc {
	return func(level client.LogLevel, format string, args ...any) {
		if logger.Enabled(context.Background(), slog.LevelDebug) {
			logger.Debug("the EventStoreDB client says", "level", level, "text", fmt.Sprintf(format, args...))
		}
	}
}

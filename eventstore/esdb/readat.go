package esdb

import (
	"context"
	"fmt"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// ReadAt returns the event at a position; see eventstore.ReaderAt. Forward, the database begins a read with the
// event at the position that it is given, which must be that of an event.
func (l *Log) ReadAt(ctx context.Context, at eventstore.Position) (env eventstore.Envelope, found bool, err error) {
	if at < 1 {
		return env, false, nil
	}
	from := client.Position{Commit: uint64(at), Prepare: uint64(at)}
	p, err := again(ctx, l, func(ctx context.Context, c *client.Client, _ int) (page, error) {
		return drain(c.ReadAll(ctx, client.ReadAllOptions{From: from}, 1))(1)
	})
	switch {
	case refusedPlace(err):
		return env, false, nil
	case err != nil:
		return env, false, fmt.Errorf("read the event at position %d: %w", at, err)
	case len(p.events) == 0 || p.events[0].Position.Commit != uint64(at):
		return env, false, nil
	}
	return decode(p.events[0])
}

// refusedPlace reports that the server takes the place that it was asked about for none.
func refusedPlace(err error) bool {
	c, _ := said(err)
	return c == codes.InvalidArgument
}

package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// CatchUp folds what the log holds now into all views, and returns. It is for work on a log that nobody writes to;
// a server calls Run, and not both at once. tell, if not nil, is told after every batch how far it has come.
func (v *Views) CatchUp(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event],
	tell func(at eventstore.Position)) error {
	select {
	case v.writing <- struct{}{}:
		defer func() { <-v.writing }()
	default:
		return errors.New("the views are written already, or closed")
	}
	v.mu.Lock()
	v.log = log
	v.mu.Unlock()
	batch := make([]eventstore.Envelope, 0, maxBatch)
	fold := func() error {
		if err := v.foldChunk(batch, codec); err != nil {
			return fmt.Errorf("fold the views: %w", err)
		}
		batch = batch[:0]
		if tell != nil {
			tell(v.Position())
		}
		return ctx.Err()
	}
	for env, err := range log.ReadAll(ctx, eventstore.Position(v.slowest())) {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if batch = append(batch, env); len(batch) < maxBatch {
			continue
		}
		if err := fold(); err != nil {
			return err
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return fold()
}

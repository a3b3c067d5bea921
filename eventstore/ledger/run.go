package ledger

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// witnessPatience is how long a witness may take before it is left behind.
const witnessPatience = 5 * time.Second

// Run signs a checkpoint whenever something was appended since the last one, keeps it and sends it to the
// witnesses, until ctx ends. A witness that fails is sent the next one; it stops nobody.
func (l *Ledger) Run(ctx context.Context) error {
	every := l.Every
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		l.tick(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	l.tick(context.WithoutCancel(ctx)) // what was appended in the last second
	return nil
}

func (l *Ledger) tick(ctx context.Context) {
	if err := l.Tick(ctx); err != nil && ctx.Err() == nil {
		l.logger().Error("no checkpoint was made", "error", err)
	}
}

// Tick makes one checkpoint if something was appended since the last one.
func (l *Ledger) Tick(ctx context.Context) error {
	n, err := l.Tree.Leaves(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	same := l.signed != nil && l.size == n
	l.mu.Unlock()
	if same {
		return nil
	}
	signed, err := l.CheckpointAt(ctx, n)
	if err != nil {
		return err
	}
	if l.File != "" {
		if err := writeFile(l.File, signed, 0o644); err != nil {
			return fmt.Errorf("keep a checkpoint: %w", err)
		}
	}
	l.mu.Lock()
	l.signed, l.size = signed, n
	l.mu.Unlock()
	l.tell(ctx, signed)
	return nil
}

// tell sends the checkpoint to all witnesses at once.
func (l *Ledger) tell(ctx context.Context, signed []byte) {
	ctx, cancel := context.WithTimeout(ctx, witnessPatience)
	defer cancel()
	var g errgroup.Group
	for _, w := range l.Witnesses {
		g.Go(func() error {
			if err := w.Witness(ctx, signed); err != nil && ctx.Err() != context.Canceled {
				l.logger().Warn("a witness did not take a checkpoint; it is sent the next one", "witness", w.String(), "error", err)
			}
			return nil
		})
	}
	_ = g.Wait() // nobody returns an error
}

package handlers

import (
	"context"
	"fmt"
	"time"
)

// KeepSignIns is how long the log can tell who signed in and never came: a challenge lasts an hour, and whoever looks into what
// happened has a month. Of those who came their devices tell.
const KeepSignIns = 30 * 24 * time.Hour

// SignInKeys are the keys of who signed in.
type SignInKeys interface {
	// Forget destroys the key of who signed in to get a challenge, for good.
	Forget(ctx context.Context, ticket string) error
}

// lookAtSignIns destroys the keys that are due since the last look; with again all that should be gone. The log need not
// say so: each server does it, with its own keyring.
func (f *Forgetter) lookAtSignIns(ctx context.Context, again bool) error {
	if f.SignIns == nil {
		return nil
	}
	until, after := f.Now().Add(-KeepSignIns), f.signIns
	if again {
		after = time.Time{}
	}
	tickets, err := f.Views.SignIns(ctx, after, until)
	if err != nil {
		return fmt.Errorf("list sign-ins: %w", err)
	}
	for _, ticket := range tickets {
		if err := f.SignIns.Forget(ctx, ticket); err != nil {
			return fmt.Errorf("destroy the key of a sign-in: %w", err)
		}
	}
	f.signIns = until
	return nil
}

package projections

import (
	"context"
	"time"
)

// SignIns lists by what the log knows the challenges that were given to people who signed in, after one moment and up to
// another, in the order of time.
func (v *Views) SignIns(ctx context.Context, after, until time.Time) (tickets []string, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT ticket FROM sign_ins WHERE at > ? AND at <= ? ORDER BY at, ticket`, []any{microseconds(after), microseconds(until)}, func(r Row) error {
			tickets = append(tickets, r.Text(0))
			return nil
		})
	})
	return tickets, err
}

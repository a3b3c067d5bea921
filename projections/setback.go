package projections

import (
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// setBack says in words that the server's clock had been set back when an event happened: it showed an earlier time than at
// some event before. It says nothing of all others, and of events that the timeline does not have yet.
func setBack(tx Tx, env eventstore.Envelope) (string, error) {
	var at int64
	found, err := onerow(tx, `SELECT time FROM timeline WHERE position = ?`, []any{int64(env.Position)}, &at)
	if err != nil || !found || env.Time.UnixMicro() >= at {
		return "", err
	}
	return fmt.Sprintf(" (the server's clock had been set back: it showed %s, and %s before)",
		env.Time.UTC().Format(time.RFC3339), moment(at).Format(time.RFC3339)), nil
}

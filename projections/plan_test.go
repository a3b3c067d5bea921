package projections

import (
	"strings"
	"testing"
)

// Whoever asks about one device, one command or one page must not read the whole table.
func TestQueriesUseTheirIndexes(t *testing.T) {
	v := folded(t, threeDevices())
	for _, c := range []struct{ query, plan string }{
		{factColumns + factSpans + ` WHERE f.area = 1 AND f.key = 2 AND f.since <= 3`, "SEARCH facts USING PRIMARY KEY (device=? AND area=? AND key=?)"},
		{factColumns + factSpans + ` WHERE f.area = 1 AND f.key = 2 AND f.since <= 3`, "SEARCH facts_past USING PRIMARY KEY (device=? AND area=? AND key=? AND since<?)"},
		{`SELECT ` + spanColumns + ` FROM fleet_spans s WHERE s.device = 1 AND s.until IS NULL`, "SEARCH s USING PRIMARY KEY (device=?)"},
		{`SELECT s.device FROM fleet_spans s WHERE s.until IS NULL ORDER BY s.device LIMIT 9`, "SCAN s USING INDEX fleet_now"},
		{`SELECT ` + spanColumns + ` FROM fleet_spans s WHERE s.device = 1 AND s.since <= 2`, "SEARCH s USING PRIMARY KEY (device=? AND since<?)"},
		{entryColumns + ` WHERE t.device = 1 AND t.position > 5 ORDER BY t.position LIMIT 9`, "SEARCH t USING INDEX timeline_device (device=? AND position>?)"},
		{entryColumns + ` WHERE t.actor IN (1) AND t.position > 5 ORDER BY t.position LIMIT 9`, "SEARCH t USING INDEX timeline_actor"},
		{entryColumns + ` WHERE t.type IN (17) AND t.type >= 16 ORDER BY t.position LIMIT 9`, "SEARCH t USING INDEX timeline_type"},
		{commandColumns + ` WHERE c.device = 1 AND c.waiting = 1`, "SEARCH c USING INDEX commands_waiting (device=?)"},
		{commandColumns + ` WHERE c.device = 1 ORDER BY c.position DESC LIMIT 9`, "SEARCH c USING INDEX commands_device (device=?)"},
		{commandColumns + ` ORDER BY c.position DESC LIMIT 9`, "SCAN c\n"},
		{commandColumns + ` WHERE c.uuid = 'u'`, "SEARCH c USING INDEX commands_uuid (uuid=?)"},
		{commandColumns + ` WHERE c.state IN (5) AND c.state > 4 ORDER BY c.position DESC LIMIT 9`, "SEARCH c USING INDEX commands_odd"},
		{lastOfTypes(1), "SEARCH t USING INDEX timeline_device (device=? AND position<?)"},
		{`SELECT due FROM wakeups WHERE due <= 5 ORDER BY due LIMIT 9`, "wakeups_due"},
	} {
		var plan []string
		err := v.read(t.Context(), func(tx Tx) error {
			return tx.Query("EXPLAIN QUERY PLAN "+c.query, nil, func(r Row) error {
				plan = append(plan, r.Text(3))
				return nil
			})
		})
		if all := strings.Join(plan, "\n"); err != nil || !strings.Contains(all, c.plan) || strings.Contains(all, "TEMP B-TREE") && !strings.Contains(c.query, " IN (") {
			t.Errorf("%s\nis answered by\n%s\nwithout %s (%v)", c.query, all, c.plan, err)
		}
	}
}

package graphql

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/projections"
)

// maxHistory is the most moments that fleetHistory tells of.
const maxHistory = 366

// A census is a fleet's numbers, and the moment that was asked for.
type census struct {
	projections.Fleet
	time time.Time
}

type tally struct {
	platform projections.Platform
	name     string
	n        int
}

func oneFleet(ctx context.Context, r *run, a args) (any, error) {
	when, err := r.moment(ctx, a)
	if err != nil {
		return nil, err
	}
	f, err := r.Views.Fleet(ctx, when.at)
	if when.time.IsZero() {
		when.time = r.Now()
	}
	return census{f, when.time}, err
}

func fleetHistory(ctx context.Context, r *run, a args) (any, error) {
	step, err := parseStep(a.text("every"))
	if err != nil {
		return nil, err
	}
	var all []census
	to := a.moment("to")
	for n, t := 0, a.moment("from"); !t.After(to); n, t = n+1, step.after(a.moment("from"), n+1) {
		if n == maxHistory {
			return nil, domain.Refusef(domain.Invalid, "fleetHistory tells of %d moments at most: take a longer every", maxHistory)
		}
		at, err := r.Views.PositionAt(ctx, t)
		if err != nil {
			return nil, err
		}
		f, err := r.Views.Fleet(ctx, at)
		if err != nil {
			return nil, err
		}
		all = append(all, census{f, t})
	}
	return all, nil
}

// A step is a distance in time, as ISO 8601 writes it. Days and more follow the calendar in UTC.
type step struct {
	years, months, days int
	time                time.Duration
}

var stepForm = regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,4})M)?)?$`)

// parseStep reads an ISO 8601 duration of whole minutes or more.
func parseStep(text string) (step, error) {
	parts := stepForm.FindStringSubmatch(text)
	if parts == nil {
		return step{}, badStep(text)
	}
	n := make([]int, len(parts))
	for i := 1; i < len(parts); i++ {
		n[i], _ = strconv.Atoi(parts[i]) // an absent part is none
	}
	s := step{n[1], n[2], 7*n[3] + n[4], time.Duration(n[5])*time.Hour + time.Duration(n[6])*time.Minute}
	if s == (step{}) {
		return s, badStep(text)
	}
	return s, nil
}

func badStep(text string) error {
	return domain.WithHint(domain.Refusef(domain.Invalid, "%.40q is no ISO 8601 duration of a minute or more", text), "P1D is a day, PT6H six hours")
}

// after returns the moment n steps after t.
func (s step) after(t time.Time, n int) time.Time {
	return t.AddDate(n*s.years, n*s.months, n*s.days).Add(time.Duration(n) * s.time)
}

func (t *types) fleetFields() graphql.Fields {
	return graphql.Fields{
		"time":       get("The moment in question.", must(timeScalar), func(c census) any { return c.time }),
		"position":   get("The last event before it.", must(graphql.ID), func(c census) any { return position(c.Position) }),
		"devices":    get("That ever authenticated until then.", must(graphql.Int), func(c census) any { return c.Devices }),
		"enrolled":   get("", must(graphql.Int), func(c census) any { return c.ByStatus[device.StatusEnrolled] }),
		"supervised": get("Of those enrolled.", must(graphql.Int), func(c census) any { return c.Supervised }),
		"awaitingConfiguration": get("Of those enrolled: in Setup Assistant.", must(graphql.Int),
			func(c census) any { return c.Awaiting }),
		"commandsWaiting": get("", must(graphql.Int), func(c census) any { return c.WaitingTotal }),
		"byStatus":        get("", many(t.count), func(c census) any { return tallies(c.ByStatus) }),
		"byPlatform": get("Of those enrolled; UNKNOWN where no device told.", many(t.count),
			func(c census) any { return tallies(c.ByPlatform) }),
		"byOsVersion": get("Of those enrolled, most first.", many(t.count), versions),
	}
}

func versions(c census) any {
	all := make([]tally, len(c.ByOS))
	for i, v := range c.ByOS {
		all[i] = tally{v.Platform, v.Version, v.Devices}
	}
	return all
}

// tallies lists counts by name.
func tallies[K ~string](counts map[K]int) []tally {
	all := make([]tally, 0, len(counts))
	for k, n := range counts {
		name := string(k)
		if name == "" {
			name = "UNKNOWN"
		}
		all = append(all, tally{name: name, n: n})
	}
	slices.SortFunc(all, func(a, b tally) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return all
}

func countFields() graphql.Fields {
	return graphql.Fields{
		"name":     get("Of the status, the platform or the version.", must(graphql.String), func(t tally) any { return t.name }),
		"platform": get("Of a version.", graphql.String, func(t tally) any { return orNull(t.platform) }),
		"devices":  get("", must(graphql.Int), func(t tally) any { return t.n }),
	}
}

package domain

import "time"

// EndWarnings are how many days before the end of a certificate somebody is told of it, the first first; 0 is the end itself.
var EndWarnings = []int{60, 30, 14, 7, 1, 0}

// EndDue returns the warning that is due at a moment for what is good between two times. A short life has its first warnings
// left away: those that would come before two thirds of it are over, when nobody has renewed it yet. If it is not known when
// it began, none is.
func EndDue(notBefore, notAfter, at time.Time) (days int, due bool) {
	for _, w := range EndWarnings {
		when := notAfter.AddDate(0, 0, -w)
		if at.Before(when) {
			break
		}
		if life := notAfter.Sub(notBefore); !notBefore.IsZero() && 3*notAfter.Sub(when) > life {
			continue
		}
		days, due = w, true
	}
	return days, due
}

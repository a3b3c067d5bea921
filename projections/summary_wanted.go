package projections

import (
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
)

func summariseWanted(e domain.Event, s Scene) string {
	whom := func(a wanted.Assignment) string { return whose(declaration.Assignment{Group: a.Group, Users: a.Users}) }
	switch e := e.(type) {
	case profile.Stored:
		against := ""
		if len(profile.Errors(e.Findings)) > 0 {
			against = ", though Apple's keys are against it"
		}
		return fmt.Sprintf("%s put version %d of the profile %s into the library, revision %s%s", s.Actor, e.Version, s.Declaration, short(e.Revision), against)
	case profile.Withdrawn:
		return fmt.Sprintf("%s withdrew the profile %s from the library%s", s.Actor, s.Declaration, because(e.Reason))
	case wanted.Put:
		if e.Version != "" {
			return fmt.Sprintf("%s put %s, version %s of the library", s.Actor, s.Declaration, e.Version)
		}
		return fmt.Sprintf("%s put %s, revision %s", s.Actor, s.Declaration, short(e.Revision))
	case wanted.Assigned:
		first := ""
		if e.Assignment.First {
			first = ", before all else"
		}
		return fmt.Sprintf("%s wants %s on %s%s", s.Actor, s.Declaration, whom(e.Assignment), first)
	case wanted.Unassigned:
		return fmt.Sprintf("%s no longer wants %s on %s", s.Actor, s.Declaration, whom(e.Assignment))
	case wanted.Withdrawn:
		return fmt.Sprintf("%s withdrew %s%s", s.Actor, s.Declaration, because(e.Reason))
	case device.WantedOrdered:
		what := "was ordered what is wanted of it"
		if e.Removes {
			what = "was ordered to give up what is wanted no longer"
		}
		return fmt.Sprintf("%s %s: %s, attempt %d", s.target(), what, e.Thing, e.Attempt)
	case device.WantedRefused:
		return fmt.Sprintf("%s cannot be brought to %s%s", s.target(), e.Thing, because(e.Because))
	case device.WantedRetried:
		return fmt.Sprintf("%s wants %s tried again on %s%s", s.Actor, e.Thing, s.target(), because(e.Reason))
	}
	return ""
}

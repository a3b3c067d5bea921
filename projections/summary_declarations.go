package projections

import (
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
)

func summariseDeclaration(e domain.Event, s Scene) string {
	switch e := e.(type) {
	case declaration.Put:
		against := ""
		if e.Unchecked != "" {
			against = ", unchecked: " + e.Unchecked
		}
		return fmt.Sprintf("%s put the declaration %s (%s), revision %s%s", s.Actor, s.Declaration, e.Type, short(e.ServerToken), against)
	case declaration.Assigned:
		return fmt.Sprintf("%s gave the declaration %s to %s", s.Actor, s.Declaration, whose(e.Assignment))
	case declaration.Unassigned:
		return fmt.Sprintf("%s took the declaration %s from %s", s.Actor, s.Declaration, whose(e.Assignment))
	case declaration.Withdrawn:
		return fmt.Sprintf("%s withdrew the declaration %s%s", s.Actor, s.Declaration, because(e.Reason))
	}
	return ""
}

func whose(a declaration.Assignment) string {
	if a.Users {
		return "the users of the group " + a.Group
	}
	return "the group " + a.Group
}

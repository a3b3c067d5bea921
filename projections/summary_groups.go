package projections

import (
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/group"
)

func summariseGroup(e domain.Event, s Scene) string {
	switch e := e.(type) {
	case group.Created:
		by := "whose members are named one by one"
		if e.Rule != nil {
			by = "whose members are chosen by a rule"
		}
		return fmt.Sprintf("%s made the group %s, %s", s.Actor, e.Name, by)
	case group.Changed:
		return fmt.Sprintf("%s changed the group %s", s.Actor, e.Name)
	case group.MembersAdded:
		return fmt.Sprintf("%s put %d %s into the group %s", s.Actor, len(e.Devices), plural(len(e.Devices), "device", "devices"), s.Group)
	case group.MembersRemoved:
		return fmt.Sprintf("%s took %d %s out of the group %s", s.Actor, len(e.Devices), plural(len(e.Devices), "device", "devices"), s.Group)
	case group.Deleted:
		return fmt.Sprintf("%s gave up the group %s%s", s.Actor, s.Group, because(e.Reason))
	}
	return ""
}

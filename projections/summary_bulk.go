package projections

import (
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
)

func summariseBulk(e domain.Event, s Scene) string {
	many := func(n int) string { return fmt.Sprintf("%d %s", n, plural(n, "device", "devices")) }
	switch e := e.(type) {
	case bulk.Ordered:
		return fmt.Sprintf("%s ordered %s for the group %s, which is %s%s", s.Actor, e.RequestType, s.Group, many(e.Devices), because(e.Reason))
	case bulk.MembersNamed:
		return fmt.Sprintf("%s named %s for the order", s.Actor, many(len(e.Devices)))
	case bulk.PassedOn:
		return fmt.Sprintf("the order was passed on to %s, of which %d refused it", many(e.Reached-e.Before), len(e.Refused))
	case bulk.Cancelled:
		return fmt.Sprintf("%s cancelled an order to many devices%s", s.Actor, because(e.Reason))
	}
	return ""
}

package enrollment_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
)

type events = []domain.Event

var (
	noon    = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	school  = enrollment.Terms{Name: "School", Roads: []string{enrollment.Profile}, AccessRights: 1, Uses: 2, Expires: noon.Add(time.Hour), Group: "pupils", Note: "class 3b"}
	invited = enrollment.Invited(school)
	ada     = enrollment.Admitted{Road: enrollment.Profile, Ticket: "t", PublicKey: "ada"}
	bob     = enrollment.Admitted{Road: enrollment.Profile, Ticket: "t", PublicKey: "bob"}
	eve     = enrollment.Admitted{Road: enrollment.Profile, Ticket: "t", PublicKey: "eve"}
	phone   = enrollment.Admitted{Road: enrollment.Profile, Ticket: "p", PublicKey: "phone", Device: "d1"}
	second  = enrollment.Admitted{Road: enrollment.Profile, Ticket: "q", PublicKey: "again", Device: "d1"}
	again   = enrollment.Admitted{Road: enrollment.Profile, Ticket: "q", PublicKey: "again", Device: "d1", Again: true}
	tablet  = enrollment.Admitted{Road: enrollment.Profile, Ticket: "r", PublicKey: "tablet", Device: "d2"}
	closed  = enrollment.Withdrawn{Reason: "holidays"}
)

func TestDecisions(t *testing.T) {
	invite := func(change func(*enrollment.Terms)) func(enrollment.Invitation) (events, error) {
		terms := school
		change(&terms)
		return func(i enrollment.Invitation) (events, error) { return i.Invite(terms, noon) }
	}
	same := invite(func(*enrollment.Terms) {})
	admit := func(a enrollment.Admitted, at time.Time) func(enrollment.Invitation) (events, error) {
		return func(i enrollment.Invitation) (events, error) { return i.Admit(a, at) }
	}
	withdraw := func(i enrollment.Invitation) (events, error) { return i.Withdraw("holidays") }
	otherRoad := ada
	otherRoad.Road = enrollment.ADE
	for name, tt := range map[string]struct {
		given events
		when  func(enrollment.Invitation) (events, error)
		then  events
		no    domain.Reason
	}{
		"an invitation":                          {nil, same, events{invited}, 0},
		"the same again":                         {events{invited}, same, nil, 0},
		"another with the same id":               {events{invited}, invite(func(t *enrollment.Terms) { t.Uses = 3 }), nil, domain.Conflict},
		"the id of a withdrawn one":              {events{invited, closed}, same, nil, domain.Conflict},
		"without a name":                         {nil, invite(func(t *enrollment.Terms) { t.Name = " " }), nil, domain.Invalid},
		"with a note that is too long":           {nil, invite(func(t *enrollment.Terms) { t.Note = strings.Repeat("x", 1001) }), nil, domain.Invalid},
		"used a negative number of times":        {nil, invite(func(t *enrollment.Terms) { t.Uses = -1 }), nil, domain.Invalid},
		"with rights that there are not":         {nil, invite(func(t *enrollment.Terms) { t.AccessRights = 8192 }), nil, domain.Invalid},
		"that expired before":                    {nil, invite(func(t *enrollment.Terms) { t.Expires = noon }), nil, domain.Invalid},
		"on a road that there is not":            {nil, invite(func(t *enrollment.Terms) { t.Roads = []string{"sea"} }), nil, domain.Invalid},
		"it is withdrawn":                        {events{invited}, withdraw, events{closed}, 0},
		"and again":                              {events{invited, closed}, withdraw, nil, 0},
		"one that is not there is withdrawn":     {nil, withdraw, nil, domain.NotFound},
		"a key comes in":                         {events{invited}, admit(ada, noon), events{ada}, 0},
		"the same key asks again":                {events{invited, ada}, admit(ada, noon), nil, 0},
		"a second one":                           {events{invited, ada}, admit(bob, noon), events{bob}, 0},
		"a third one, and it is used up":         {events{invited, ada, bob}, admit(eve, noon), nil, domain.Forbidden},
		"the last one asks again, used up":       {events{invited, ada, bob}, admit(bob, noon), nil, 0},
		"after it was withdrawn":                 {events{invited, closed}, admit(ada, noon), nil, domain.Forbidden},
		"who was let in asks again after that":   {events{invited, ada, closed}, admit(ada, noon), nil, 0},
		"after it expired":                       {events{invited}, admit(ada, noon.Add(time.Hour)), nil, domain.Forbidden},
		"on another road":                        {events{invited}, admit(otherRoad, noon), nil, domain.Forbidden},
		"a device's second key, used up":         {events{invited, phone, ada}, admit(second, noon), events{again}, 0},
		"another device's, used up":              {events{invited, phone, ada}, admit(tablet, noon), nil, domain.Forbidden},
		"a device's second key uses up nothing":  {events{invited, phone, again}, admit(ada, noon), events{ada}, 0},
		"by an invitation that there is not":     {nil, admit(ada, noon), nil, domain.NotFound},
		"on any road, if none is named":          {events{enrollment.Invited{Name: "all"}}, admit(otherRoad, noon.AddDate(9, 0, 0)), events{otherRoad}, 0},
		"any number of keys, if there is no end": {events{enrollment.Invited{Name: "all"}, ada, bob}, admit(eve, noon), events{eve}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var i enrollment.Invitation
			for _, e := range tt.given {
				i = i.Evolve(e, noon)
			}
			got, err := tt.when(i)
			if r, _ := domain.Refused(err); (err != nil) != (tt.no != 0) || r != nil && r.Reason != tt.no {
				t.Fatalf("the answer is %v, want the refusal %v", err, tt.no)
			}
			if !reflect.DeepEqual(got, tt.then) {
				t.Errorf("what follows is %+v, want %+v", got, tt.then)
			}
		})
	}
}

func TestAnInvitationDoesNotGrowWithThoseWhoComeIn(t *testing.T) {
	i := enrollment.Invitation{}.Evolve(enrollment.Invited{Name: "all"}, noon)
	var before enrollment.Invitation
	for n := range 1000 {
		before, i = i, i.Evolve(enrollment.Admitted{Road: enrollment.Profile, Ticket: "t", PublicKey: fmt.Sprint(n)}, noon)
	}
	if i.Used != 1000 || before.Used != 999 {
		t.Errorf("used %d times", i.Used)
	}
	last := enrollment.Admitted{Road: enrollment.Profile, Ticket: "t", PublicKey: "999"}
	if got, err := i.Admit(last, noon); got != nil || err != nil {
		t.Errorf("the last one is let in again: %v, %v", got, err)
	}
	if got, _ := before.Admit(last, noon); len(got) != 1 {
		t.Error("what follows has changed what was before")
	}
}

func TestIDs(t *testing.T) {
	for id, good := range map[string]bool{"default": true, "Room_3-b": true, "": false, "a/b": false, "ü": false, "a b": false, strings.Repeat("x", 65): false, "a.b": false} {
		if err := enrollment.CheckID(id); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}

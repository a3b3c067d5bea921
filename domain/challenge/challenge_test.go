package challenge_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
)

func TestOneKeyUsesAChallenge(t *testing.T) {
	used := challenge.Challenge{}.Evolve(challenge.Used{PublicKey: "a"}, time.Time{})
	if got, err := (challenge.Challenge{}).Use("a"); err != nil || !reflect.DeepEqual(got, []domain.Event{challenge.Used{PublicKey: "a"}}) {
		t.Errorf("the first: %v, %v", got, err)
	}
	if got, err := used.Use("a"); err != nil || got != nil {
		t.Errorf("the same again: %v, %v", got, err)
	}
	if _, err := used.Use("b"); err == nil {
		t.Error("another may use it too")
	}
}

func TestAChallengeIsGivenToOnePerson(t *testing.T) {
	ada := challenge.Vouched{Invitation: "staff", Road: "profile", Person: domain.Person{Account: "ada@example.com"}}
	given := challenge.Challenge{}.Evolve(ada, time.Time{})
	if got, err := (challenge.Challenge{}).Vouch(ada); err != nil || !reflect.DeepEqual(got, []domain.Event{ada}) {
		t.Errorf("the first: %v, %v", got, err)
	}
	for name, c := range map[string]challenge.Challenge{
		"one that was given": given, "one that was used": challenge.Challenge{}.Evolve(challenge.Used{PublicKey: "a"}, time.Time{}),
	} {
		if _, err := c.Vouch(ada); err == nil {
			t.Errorf("%s is given again", name)
		}
	}
	if got, err := given.Use("a"); err != nil || len(got) != 1 {
		t.Errorf("what was given cannot be used: %v, %v", got, err)
	}
}

func TestAnOrderIsAnsweredOnce(t *testing.T) {
	answer := challenge.Answered{Order: "o", Requester: "r", PublicKey: "a", Attested: &domain.Attestation{OSVersion: "18.2"}}
	other := answer
	other.PublicKey = "b"
	next := other
	next.Order = "p"
	answered := challenge.Challenge{}.Evolve(answer, time.Time{})
	used := challenge.Challenge{}.Evolve(challenge.Used{PublicKey: "a"}, time.Time{})
	for name, tt := range map[string]struct {
		of     challenge.Challenge
		answer challenge.Answered
		once   bool
		then   []domain.Event
		no     domain.Reason
	}{
		"the first":                         {challenge.Challenge{}, answer, true, []domain.Event{answer}, 0},
		"the same again":                    {answered, answer, true, nil, 0},
		"for another key":                   {answered, other, true, nil, domain.Conflict},
		"another order":                     {answered, next, true, []domain.Event{next}, 0},
		"the key that has used it":          {used, answer, true, []domain.Event{answer}, 0},
		"another than the one that has":     {used, next, true, nil, domain.Forbidden},
		"where any number of keys may come": {used, next, false, []domain.Event{next}, 0},
	} {
		got, err := tt.of.Answer(tt.answer, tt.once)
		if r, _ := domain.Refused(err); (err != nil) != (tt.no != 0) || r != nil && r.Reason != tt.no {
			t.Errorf("%s: %v, want the refusal %v", name, err, tt.no)
		}
		if !reflect.DeepEqual(got, tt.then) {
			t.Errorf("%s: what follows is %+v, want %+v", name, got, tt.then)
		}
	}
}

// A challenge that many come by remembers the newest orders alone.
func TestAnswersAreForgotten(t *testing.T) {
	c := challenge.Challenge{}
	for i := range 100 {
		before := len(c.Answers)
		after := c.Evolve(challenge.Answered{Order: string(rune('a' + i))}, time.Time{})
		if len(c.Answers) != before || len(after.Answers) > 16 {
			t.Fatalf("%d are remembered, and what follows has changed what was before: %t", len(after.Answers), len(c.Answers) != before)
		}
		c = after
	}
	if _, found := c.AnswerOf("a"); found {
		t.Error("the first is remembered")
	}
	if _, found := c.AnswerOf(string(rune('a' + 99))); !found {
		t.Error("the last is not")
	}
}

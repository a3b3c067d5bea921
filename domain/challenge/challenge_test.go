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

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

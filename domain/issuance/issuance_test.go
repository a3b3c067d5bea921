package issuance_test

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/issuance"
)

func TestTheSameGroundsGiveTheSameCertificate(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	has := issuance.Issuance{}.Evolve(issuance.Signed{Fingerprint: "f", By: "challenge", NotBefore: from, NotAfter: from.Add(300 * time.Hour), Certificate: []byte{1}}, from)
	for name, tt := range map[string]struct {
		of   issuance.Issuance
		by   string
		at   time.Time
		want bool
	}{
		"a key that has none":           {issuance.Issuance{}, "", from, false},
		"the same grounds":              {has, "challenge", from.Add(time.Hour), true},
		"other grounds":                 {has, "another", from.Add(time.Hour), false},
		"when it would be renewed soon": {has, "challenge", from.Add(200 * time.Hour), false},
	} {
		if got := tt.of.Stands(tt.by, tt.at); got != tt.want {
			t.Errorf("%s: it stands: %t", name, got)
		}
	}
}

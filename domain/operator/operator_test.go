package operator_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/operator"
)

type events = []domain.Event

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func fold(given events) (t operator.Token) {
	for _, e := range given {
		t = t.Evolve(e, noon)
	}
	return t
}

func TestTokens(t *testing.T) {
	create := func(name string, role operator.Role, expires time.Time) func(operator.Token) (events, error) {
		return func(t operator.Token) (events, error) { return t.Create(name, role, "hash", expires, noon) }
	}
	revoke := func(t operator.Token) (events, error) { return t.Revoke("she left") }
	made := operator.TokenCreated{Name: "Ada", Role: operator.Viewer, Hash: "hash"}
	brief := made
	brief.Expires = noon.Add(1)
	revoked := operator.TokenRevoked{Reason: "she left"}
	tests := []struct {
		name  string
		given events
		when  func(operator.Token) (events, error)
		then  events
		no    domain.Reason
	}{
		{"made", nil, create("Ada", operator.Viewer, time.Time{}), events{made}, 0},
		{"made for a while", nil, create("Ada", operator.Viewer, noon.Add(1)), events{brief}, 0},
		{"expired before it was made", nil, create("Ada", operator.Viewer, noon), nil, domain.Invalid},
		{"nobody's", nil, create("", operator.Viewer, time.Time{}), nil, domain.Invalid},
		{"of a role that is none", nil, create("Ada", "king", time.Time{}), nil, domain.Invalid},
		{"of no role", nil, create("Ada", "", time.Time{}), nil, domain.Invalid},
		{"made twice", events{made}, create("Ada", operator.Viewer, time.Time{}), nil, domain.Conflict},
		{"made again after it was revoked", events{made, revoked}, create("Ada", operator.Viewer, time.Time{}), nil, domain.Conflict},
		{"revoked", events{made}, revoke, events{revoked}, 0},
		{"revoked twice", events{made, revoked}, revoke, nil, 0},
		{"revoked before it was made", nil, revoke, nil, domain.NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(fold(tt.given))
			if r, _ := domain.Refused(err); (err != nil) != (tt.no != 0) || r != nil && r.Reason != tt.no {
				t.Fatalf("the answer is %v, want the refusal %v", err, tt.no)
			}
			if !reflect.DeepEqual(got, tt.then) {
				t.Errorf("what follows is %+v, want %+v", got, tt.then)
			}
		})
	}
}

func TestGood(t *testing.T) {
	made := operator.TokenCreated{Name: "Ada", Role: operator.Viewer, Hash: "hash"}
	brief := made
	brief.Expires = noon
	tests := []struct {
		name  string
		given events
		at    time.Time
		want  bool
	}{
		{"never made", nil, noon, false},
		{"made", events{made}, noon.AddDate(100, 0, 0), true},
		{"revoked", events{made, operator.TokenRevoked{}}, noon, false},
		{"before its end", events{brief}, noon.Add(-1), true},
		{"at its end", events{brief}, noon, false},
	}
	for _, tt := range tests {
		if got := fold(tt.given).Good(tt.at); got != tt.want {
			t.Errorf("%s: good is %v", tt.name, got)
		}
	}
}

func TestRoles(t *testing.T) {
	for role, may := range map[operator.Role][2]bool{
		operator.Viewer: {false, false}, operator.Auditor: {false, true}, operator.Operator: {true, false}, operator.Administrator: {true, true}, "": {false, false},
	} {
		if got := [2]bool{role.MayChange(), role.MayAudit()}; got != may {
			t.Errorf("%q may change and audit: %v, want %v", role, got, may)
		}
	}
	if len(operator.Roles()) != 4 {
		t.Errorf("the roles are %v", operator.Roles())
	}
}

package profile

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
)

func TestVariablesAreFilled(t *testing.T) {
	v := Values{"a": "%SerialNumber%", "b": []any{"x-%UDID%-%UDID%", uint64(1), true}, "c": Values{"%SerialNumber%": "%ComputerName% 100%"}}
	got, err := Fill(v, map[string]string{SerialNumber: "C02 & <1>", UDID: "U-%SerialNumber%"})
	want := Values{"a": "C02 & <1>", "b": []any{"x-U-%SerialNumber%-U-%SerialNumber%", uint64(1), true}, "c": Values{"%SerialNumber%": "%ComputerName% 100%"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is filled to %v (%v), want %v", got, err, want)
	}
	if v["a"] != "%SerialNumber%" {
		t.Error("the profile itself was filled")
	}
}

func TestAVariableOfWhichNothingIsKnownHoldsTheProfileBack(t *testing.T) {
	_, err := Fill(Values{"a": "%short_name%"}, map[string]string{SerialNumber: "1"})
	if r, is := domain.Refused(err); !is || r.Reason != domain.Conflict || !strings.Contains(r.Text, "%short_name%") {
		t.Errorf("the answer is %v", err)
	}
}

// What a device calls itself is text, whatever it is: it never becomes a variable, a key or a value of another kind.
func TestValuesStayText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Filter(func(s string) bool { return s != "" }).Draw(t, "name")
		around := rapid.StringOf(rapid.RuneFrom([]rune("a%<& "))).Draw(t, "around")
		filled, err := Fill(Values{"a": around + "%DeviceName%"}, map[string]string{DeviceName: name})
		if err != nil {
			t.Fatal(err)
		}
		if got := filled["a"]; got != around+name {
			t.Fatalf("it is filled to %q", got)
		}
	})
}

func TestEveryVariableIsOfTheForm(t *testing.T) {
	for _, name := range append(Variables(), own...) {
		if !variableForm.MatchString("%" + name + "%") {
			t.Errorf("%s is never found", name)
		}
	}
}

package declaration_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
)

const enforcement = "com.apple.configuration.softwareupdate.enforcement.specific"

func TestAPayloadIsCheckedAgainstApplesKeys(t *testing.T) {
	for _, c := range []struct{ kind, payload, because string }{
		{passcode, `{"RequirePasscode":true,"MinimumLength":6}`, ""},
		{passcode, `{"MinimumLength":17}`, "MinimumLength"},
		{passcode, `{"MinimumLength":"6"}`, "MinimumLength must be an integer"},
		{passcode, `{"MinimumLenght":6}`, "MinimumLenght is not a key of Apple's"},
		{passcode, `{"CustomRegex":{"Description":{}}}`, "CustomRegex.Regex is required"},
		{enforcement, `{"TargetOSVersion":"18.1","TargetLocalDateTime":"2026-03-01T18:00:00"}`, ""},
		{enforcement, `{"TargetOSVersion":"18.1"}`, "TargetLocalDateTime is required"},
		{"com.apple.asset.data", `{"Reference":{"DataURL":"https://example.com/a"},"Authentication":{"Type":"Basic"}}`, "Authentication.Type"},
		{"com.apple.configuration.no.such", `{}`, "Apple has no declaration"},
	} {
		d := declaration.Declaration{}
		_, err := d.Put(c.kind, json.RawMessage(c.payload), false, stamp)
		refusal, _ := domain.Refused(err)
		if (err != nil) != (c.because != "") || refusal != nil && !strings.Contains(refusal.Text, c.because) {
			t.Errorf("%s %s: the answer is %v, want %q", c.kind, c.payload, err, c.because)
		}
		list, err := d.Put(c.kind, json.RawMessage(c.payload), true, stamp)
		if err != nil || len(list) != 1 || !strings.Contains(list[0].(declaration.Put).Unchecked, c.because) || c.because == "" && list[0].(declaration.Put).Unchecked != "" {
			t.Errorf("%s %s: unchecked it is %v (%v)", c.kind, c.payload, list, err)
		}
	}
}

func TestEveryDeclarationOfApplesIsKnown(t *testing.T) {
	all := command.Declarations()
	if len(all) != 58 {
		t.Errorf("there are %d types, want 58", len(all))
	}
	for _, s := range all {
		if declaration.KindOf(s.Type) != s.Group || len(s.Support) == 0 {
			t.Errorf("%s is a %s and exists on %d platforms", s.Type, s.Group, len(s.Support))
		}
		for _, k := range s.Request { // what is required is demanded, and nothing unknown is taken
			if strings.ContainsAny(k.Path, ".[*") || !k.Required || len(k.Limits) > 0 {
				continue
			}
			if err := declaration.Check(s.Type, json.RawMessage(`{}`)); err == nil {
				t.Errorf("%s is taken without %s", s.Type, k.Path)
			}
		}
		if err := declaration.Check(s.Type, json.RawMessage(`{"Nonsense":1}`)); err == nil && s.Type != "com.apple.management.properties" { // which takes any key
			t.Errorf("%s takes nonsense", s.Type)
		}
	}
}

package graphql

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// A typed mutation orders one of Apple's commands for one device: deviceLock(device: "…", pin: "…"). It is made
// from the catalogue; its arguments are the command's own keys, and the rules of waiting.
type typed struct {
	spec *command.Spec
	keys map[string]command.Key // by the argument's name
}

// typedMutations returns the typed mutations by name.
var typedMutations = sync.OnceValue(func() map[string]typed {
	all := map[string]typed{}
	catalog := command.Catalog()
	for i := range catalog {
		all[lowerFirst(catalog[i].Type)] = typed{&catalog[i], argumentsOf(&catalog[i])}
	}
	return all
})

// argumentsOf returns the keys at the top of a command by the names of their arguments.
func argumentsOf(s *command.Spec) map[string]command.Key {
	keys := map[string]command.Key{}
	taken := waiting()
	for _, k := range s.Request {
		if !argumentForm.MatchString(k.Path) {
			continue
		}
		name := argumentName(k.Path)
		if _, reserved := taken[name]; reserved || name == "device" {
			name += "Key"
		}
		keys[name] = k
	}
	return keys
}

var argumentForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

// argumentName writes one of Apple's keys as GraphQL likes it: PIN as pin, DNSServers as dnsServers.
func argumentName(key string) string {
	capitals := 0
	for _, c := range key {
		if !unicode.IsUpper(c) {
			break
		}
		capitals++
	}
	if capitals > 1 && capitals < len(key) && unicode.IsLower(rune(key[capitals])) {
		capitals--
	}
	return strings.ToLower(key[:capitals]) + key[capitals:]
}

// typed makes the typed mutations.
func (t *types) typed() graphql.Fields {
	all := graphql.Fields{}
	for name, m := range typedMutations() {
		takes := graphql.FieldConfigArgument{"device": arg("UDID, EnrollmentID or serial number.", must(graphql.ID))}
		for rule, f := range waiting() {
			takes[rule] = &graphql.ArgumentConfig{Type: f.Type, DefaultValue: f.DefaultValue, Description: f.Description}
		}
		for argument, k := range m.keys {
			takes[argument] = arg(aboutKey(k), argumentType(k))
		}
		all[name] = root("Orders "+m.spec.Type+" for a device.", must(t.command), takes, m.send)
	}
	return all
}

func aboutKey(k command.Key) string {
	about := "Apple's " + k.Path
	switch k.Type {
	case "data":
		about += ", base64"
	case "date":
		about += ", RFC 3339"
	case "array", "dict":
		about += ", " + k.Type
	}
	if k.Default != "" {
		about += "; " + k.Default + " if absent"
	}
	return about + "."
}

// argumentType returns the type for a key. What only some platforms demand is not demanded here: which one the
// device is, is known later.
func argumentType(k command.Key) graphql.Input {
	var t graphql.Input = jsonScalar
	switch k.Type {
	case "string", "data", "date":
		t = graphql.String
	case "integer":
		t = graphql.Int
	case "real":
		t = graphql.Float
	case "boolean":
		t = graphql.Boolean
	}
	if k.Required && len(k.Limits) == 0 {
		return must(t)
	}
	return t
}

func (m typed) send(ctx context.Context, r *run, a args) (any, error) {
	parameters := map[string]any{}
	for argument, k := range m.keys {
		if v, given := a[argument]; given {
			parameters[k.Path] = v
		}
	}
	return onlyCommand(r.send(ctx, a, m.spec.Type, parameters, []string{a.text("device")}))
}

// onlyCommand returns the command that the only target was ordered, or why it was not.
func onlyCommand(out sent, err error) (any, error) {
	switch {
	case err != nil:
		return nil, err
	case len(out.refused) > 0:
		return nil, out.refused[0].err
	case len(out.commands) == 0:
		return nil, domain.Refusef(domain.Conflict, "the command was ordered, but is not to be seen yet")
	}
	return out.commands[0], nil
}

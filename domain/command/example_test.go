package command

import (
	"maps"
	"strings"
)

// example returns parameters with every key that the command takes, all of them right.
func example(s *Spec) map[string]any {
	params := exampleOf(s.takes).(map[string]any)
	for _, need := range s.Needs {
		for _, key := range need.Keys[1:] {
			if need.Exactly {
				delete(params, key)
			}
		}
	}
	return params
}

// exampleOf returns a value of the shape, in JSON's form.
func exampleOf(s *shape) any {
	if len(s.Allowed) > 0 && s.Type == "string" {
		return s.Allowed[0].Text
	}
	switch s.Type {
	case "string":
		return strings.Repeat("x", 6)
	case "integer", "real":
		return exampleNumber(s)
	case "boolean":
		return true
	case "data":
		return "aGk="
	case "date":
		return "2026-11-22T09:00:00Z"
	case "array":
		return exampleArray(s)
	case "dict":
		m := map[string]any{}
		for name, member := range s.members {
			m[name] = exampleOf(member)
		}
		if s.other != nil {
			m["com.example.one"] = exampleOf(s.other)
		}
		return m
	}
	return "anything"
}

func exampleNumber(s *shape) any {
	if len(s.Allowed) > 0 {
		n := 0.0
		for _, c := range s.Allowed[0].Text {
			n = n*10 + float64(c-'0')
		}
		return n
	}
	return 1.0
}

func exampleArray(s *shape) any {
	elements := []any{}
	if s.element != nil {
		elements = append(elements, exampleOf(s.element))
	}
	for _, label := range s.labels {
		elements = append(elements, exampleOf(s.items[label]))
	}
	return elements
}

// without returns m without a key.
func without(m map[string]any, key string) map[string]any {
	m = maps.Clone(m)
	delete(m, key)
	return m
}

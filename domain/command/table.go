package command

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed catalog.txt
var catalogText string

// catalog returns the commands of catalog.txt. A fault in it is a programmer's slip, and panics.
var catalog = sync.OnceValue(func() []Spec {
	specs, err := readTable(catalogText, everyCommand)
	if err != nil {
		panic(err)
	}
	return specs
})

// ReadTable reads another list of Apple's in the form that the head of catalog.txt describes.
func ReadTable(text string) ([]Spec, error) { return readTable(text, nil) }

// readTable reads the form that the head of catalog.txt describes. All that it lists takes every too.
func readTable(text string, every []Key) ([]Spec, error) {
	var t table
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		if err := t.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for i := range t.specs {
		s := &t.specs[i]
		s.takes = shapeOf(append(slices.Clip(s.Request), every...))
		s.places, s.secret = places(s.Request, everyCommand, s.Response)
	}
	return t.specs, nil
}

// everyCommand are the keys that every command takes.
var everyCommand = []Key{{Path: "RequestRequiresNetworkTether", Type: "boolean", Default: "false"}}

// A table is what has been read of catalog.txt.
type table struct {
	specs []Spec
	key   *Key // the last one, for its values
}

func (t *table) line(line string) error {
	words, err := split(line)
	if err != nil || len(words) < 2 {
		return fmt.Errorf("a line is malformed: %w", err)
	}
	if words[0] == "command" {
		return t.command(words[1:])
	}
	if len(t.specs) == 0 {
		return fmt.Errorf("a line stands before the first command")
	}
	s := &t.specs[len(t.specs)-1]
	switch words[0] {
	case "on":
		support := Support{Platform: Platform(words[1])}
		s.Support = append(s.Support, support)
		return limit(&s.Support[len(s.Support)-1], words[2:])
	case "errors":
		return numbers(&s.Errors, words[1:])
	case "needs":
		s.Needs = append(s.Needs, Need{words[1] == "one", words[2:]})
		return nil
	case "takes":
		return t.addKey(&s.Request, words[1:])
	case "gives":
		return t.addKey(&s.Response, words[1:])
	case "value":
		limits, _, err := limits(words[2:])
		t.key.Allowed = append(t.key.Allowed, Value{words[1], limits})
		return err
	}
	return fmt.Errorf("a line begins with %q", words[0])
}

func (t *table) command(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("a command has no group")
	}
	if n := len(t.specs); n > 0 && t.specs[n-1].Type >= words[0] {
		return fmt.Errorf("%s is out of order", words[0])
	}
	t.specs = append(t.specs, Spec{Type: words[0], Group: words[1], Destructive: slices.Contains(words[2:], "destructive")})
	return nil
}

func (t *table) addKey(keys *[]Key, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("a key has no type")
	}
	k := Key{Path: words[0], Type: strings.TrimSuffix(words[1], "!"), Required: strings.HasSuffix(words[1], "!")}
	if !slices.Contains(types, k.Type) {
		return fmt.Errorf("no type is called %q", k.Type)
	}
	var rest []string
	var err error
	if k.Limits, rest, err = limits(words[2:]); err != nil {
		return err
	}
	for _, word := range rest {
		if err := k.mark(word); err != nil {
			return err
		}
	}
	*keys = append(*keys, k)
	t.key = &(*keys)[len(*keys)-1]
	return nil
}

var types = []string{"string", "integer", "real", "boolean", "data", "date", "array", "dict", "any"}

// mark adds to a key what one word says of it.
func (k *Key) mark(word string) error {
	name, value, _ := strings.Cut(word, "=")
	switch name {
	case "secret":
		k.Secret = true
	case "shape":
		k.Shape = true
	case "default":
		k.Default = value
	case "in":
		for text := range strings.SplitSeq(value, "|") {
			k.Allowed = append(k.Allowed, Value{Text: text})
		}
	case "range":
		return k.bound(value)
	case "match":
		k.Pattern = value
		_, err := regexp.Compile(value)
		return err
	default:
		return fmt.Errorf("a key is marked %q", word)
	}
	return nil
}

func (k *Key) bound(text string) error {
	low, high, _ := strings.Cut(text, "..")
	for _, b := range []struct {
		text string
		to   **float64
	}{{low, &k.Min}, {high, &k.Max}} {
		if b.text == "" {
			continue
		}
		f, err := strconv.ParseFloat(b.text, 64)
		if err != nil {
			return err
		}
		*b.to = &f
	}
	return nil
}

func numbers(to *[]int, words []string) error {
	for _, word := range words {
		n, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		*to = append(*to, n)
	}
	return nil
}

// split returns the words of a line. A word in quotes may hold spaces.
func split(line string) (words []string, err error) {
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		word, rest, _ := strings.Cut(line, " ")
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, err
			}
			word, _ = strconv.Unquote(quoted)
			rest = line[len(quoted):]
		}
		words, line = append(words, word), rest
	}
	return words, nil
}

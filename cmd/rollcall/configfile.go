package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// A configFile is what --config names: a JSON object whose keys are flags, spelt with dashes or underscores. It serves
// all commands: each takes what it has a flag for.
type configFile map[string]any

// readConfig fulfils kong.ConfigurationLoader.
func readConfig(r io.Reader) (kong.Resolver, error) {
	file := configFile{}
	values := map[string]any{}
	if err := json.NewDecoder(r).Decode(&values); err != nil {
		return nil, fmt.Errorf("--config: it is no JSON object: %w", err)
	}
	for key, value := range values {
		file[spelt(key)] = value
	}
	return file, nil
}

func spelt(key string) string { return strings.ReplaceAll(key, "_", "-") }

// Validate refuses a key that is no command's flag: a setting that is misspelt must not be as if it were not there.
func (f configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	if err := kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			known[flag.Name] = true
		}
		return next(nil)
	}); err != nil {
		return err
	}
	for key := range f {
		if !known[key] {
			return fmt.Errorf("--config: no setting is called %q; rollcall serve --help lists them", key)
		}
	}
	return nil
}

// Resolve returns the value of a flag. The command line and the environment go first.
func (f configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	return f[flag.Name], nil
}

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	proof "github.com/rollcall-mdm/rollcall/domain/evidence"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// Disclosed are keys that somebody was given: each opens one part of one event.
type disclosed struct {
	keys map[eventstore.Position]map[seal.Part][]byte
	out  io.Writer // what they open is written here, a JSON object a line; nowhere if nil

	Opened    int `json:"opened"`    // parts
	Wrong     int `json:"wrong"`     // keys that open nothing of their event
	Elsewhere int `json:"elsewhere"` // keys for events that the bundle does not hold
}

// parts are the sealed parts of an event, in the order in which they are told.
var parts = []seal.Part{seal.Personal, seal.Secret, seal.Evidence}

// readDisclosed reads a file that holds keys, as objects with position, part and key, wherever in it they are: the
// server's answer to a disclosure, as it came, is such a file.
func readDisclosed(file string) (*disclosed, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the disclosed keys: %w", err)
	}
	d := &disclosed{keys: map[eventstore.Position]map[seal.Part][]byte{}}
	for in := json.NewDecoder(bytes.NewReader(text)); ; {
		var v any
		if err := in.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s is not JSON", file) // an error might quote a key
		}
		d.gather(v)
	}
	if len(d.keys) == 0 {
		return nil, fmt.Errorf("%s holds no keys: want objects with position, part and key", file)
	}
	return d, nil
}

func (d *disclosed) gather(v any) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			d.gather(one)
		}
	case map[string]any:
		at, err := placeIn(v)
		part, _ := v["part"].(string)
		text, ok := v["key"].(string)
		if ok && err == nil && part != "" {
			key, _ := base64.StdEncoding.DecodeString(text) // a broken key opens nothing, and is found then
			if d.keys[eventstore.Position(at)] == nil {
				d.keys[eventstore.Position(at)] = map[seal.Part][]byte{}
			}
			d.keys[eventstore.Position(at)][seal.Part(strings.ToLower(part))] = key
			return
		}
		for _, one := range v {
			d.gather(one)
		}
	}
}

// placeIn returns the place of the event of which an object holds a key: in a bundle, that is its position.
func placeIn(v map[string]any) (int64, error) {
	where := v["place"]
	if where == nil {
		where = v["position"]
	}
	if n, ok := where.(float64); ok {
		return int64(n), nil
	}
	return strconv.ParseInt(fmt.Sprint(where), 10, 64)
}

// event opens what was disclosed of the event. It returns what is wrong, empty if nothing is.
func (d *disclosed) event(env eventstore.Envelope) (problem string) {
	for _, part := range parts {
		key, given := d.keys[env.Position][part]
		if !given {
			continue
		}
		plain, err := seal.OpenWith(key, env, part)
		if err != nil {
			d.Wrong++
			problem = fmt.Sprintf("the disclosed key does not open the event's %s part: the key is not the event's, or one of them was changed", part)
			continue
		}
		d.Opened++
		if err := d.write(env, part, plain); err != nil {
			return "what was disclosed could not be written: " + err.Error()
		}
	}
	delete(d.keys, env.Position)
	return problem
}

// evidence opens the event's evidence, nil if that was not disclosed, or does not open, which is told elsewhere.
func (d *disclosed) evidence(env eventstore.Envelope) ([]byte, error) {
	key, given := d.keys[env.Position][seal.Evidence]
	if !given {
		return nil, nil
	}
	plain, err := seal.OpenWith(key, env, seal.Evidence)
	if err != nil {
		return nil, nil //nolint:nilerr // event finds it
	}
	return plain, nil
}

// An openedLine is a part of an event as its key opens it.
type openedLine struct {
	Position eventstore.Position `json:"position"`
	Type     string              `json:"type"`
	Part     seal.Part           `json:"part"`
	Holds    any                 `json:"holds"`
}

// end counts the keys of which no event was met.
func (d *disclosed) end() {
	for _, ofEvent := range d.keys {
		d.Elsewhere += len(ofEvent)
	}
}

func (d *disclosed) write(env eventstore.Envelope, part seal.Part, plain []byte) error {
	if d.out == nil {
		return nil
	}
	line := openedLine{env.Position, env.Type, part, json.RawMessage(plain)}
	if part == seal.Evidence {
		line.Holds = proof.Parse(plain)
	}
	return json.NewEncoder(d.out).Encode(line)
}

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// disclosedFile holds what an auditor may open in a bundle: a line for each sealed part of an event, with the part's own
// key and what it opens.
const disclosedFile = "disclosed.jsonl"

// A disclosedPart is a line of it.
type disclosedPart struct {
	handlers.PartKey
	Plain json.RawMessage `json:"plain,omitempty"` // of the personal and the secret part
	Bytes []byte          `json:"bytes,omitempty"` // of evidence
}

// openedBy returns what the part's key opens in its event.
func openedBy(k handlers.PartKey, env eventstore.Envelope) (disclosedPart, error) {
	plain, err := seal.OpenWith(k.Key, env, seal.Part(k.Part))
	if err != nil {
		return disclosedPart{}, err
	}
	if seal.Part(k.Part) == seal.Evidence {
		return disclosedPart{PartKey: k, Bytes: plain}, nil
	}
	return disclosedPart{PartKey: k, Plain: plain}, nil
}

// disclose puts the keys, and what they open, into a bundle.
func disclose(bundle string, keys []handlers.PartKey) error {
	byEvent := map[eventstore.Position][]handlers.PartKey{}
	for _, k := range keys {
		byEvent[k.Position] = append(byEvent[k.Position], k)
	}
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	lines.SetEscapeHTML(false)
	err := eachEvent(bundle, func(env eventstore.Envelope) error {
		for _, k := range byEvent[env.Position] {
			part, err := openedBy(k, env)
			if err == nil {
				err = lines.Encode(part)
			}
			if err != nil {
				return fmt.Errorf("disclose the %s part of event %d: %w", k.Part, k.Position, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return addToBundle(bundle, disclosedFile, text.Bytes())
}

// eachEvent calls each with every event of a bundle.
func eachEvent(bundle string, each func(eventstore.Envelope) error) error {
	f, err := os.Open(filepath.Join(bundle, "events.jsonl"))
	if err != nil {
		return err
	}
	defer f.Close()
	for in := bufio.NewReader(f); ; {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		env, err := ledger.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err == nil {
			err = each(env)
		}
		if err != nil {
			return err
		}
	}
}

// addToBundle adds a file to a bundle, and to its sums.
func addToBundle(bundle, name string, text []byte) error {
	if err := writeWhole(filepath.Join(bundle, name), text); err != nil {
		return err
	}
	file := filepath.Join(bundle, "SHA256SUMS")
	sums, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	rows := append(strings.Split(strings.TrimSuffix(string(sums), "\n"), "\n"), fmt.Sprintf("%x  %s", sha256.Sum256(text), name))
	slices.SortFunc(rows, func(a, b string) int { return strings.Compare(a[64:], b[64:]) })
	return writeWhole(file, []byte(strings.Join(rows, "\n")+"\n"))
}

// A disclosure checks what was disclosed in a bundle against what is sealed in its events.
type disclosure struct {
	Parts  int `json:"parts"`
	Events int `json:"events"`

	parts map[eventstore.Position][]disclosedPart
	left  []ledger.Finding
	show  func(env eventstore.Envelope, part disclosedPart)
}

// readDisclosure reads what was disclosed, nothing if nothing was.
func readDisclosure(bundle string) (*disclosure, error) {
	d := &disclosure{parts: map[eventstore.Position][]disclosedPart{}, show: func(eventstore.Envelope, disclosedPart) {}}
	text, err := os.ReadFile(filepath.Join(bundle, disclosedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was disclosed: %w", err)
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		var part disclosedPart
		if err := json.Unmarshal(line, &part); err != nil {
			d.left = append(d.left, ledger.Finding{File: disclosedFile, Problem: fmt.Sprintf("line %d is broken", number)})
			continue
		}
		d.parts[part.Position] = append(d.parts[part.Position], part)
	}
	return d, nil
}

// event compares what was disclosed of an event with what is sealed in it, and says what does not fit.
func (d *disclosure) event(env eventstore.Envelope) (problem string) {
	parts := d.parts[env.Position]
	delete(d.parts, env.Position)
	fit := 0
	for _, part := range parts {
		is, err := openedBy(part.PartKey, env)
		switch {
		case errors.Is(err, seal.ErrAbsent):
			problem = "a key was disclosed for a " + part.Part + " part that it does not have"
		case err != nil:
			problem = "the key that was disclosed does not open its " + part.Part + " part: it was changed, or is another's"
		case !sameJSON(is.Plain, part.Plain) || !bytes.Equal(is.Bytes, part.Bytes):
			problem = "its " + part.Part + " part was disclosed as something else than what is sealed in it"
		default:
			fit++
			d.show(env, part)
		}
	}
	if d.Parts += fit; fit > 0 {
		d.Events++
	}
	return problem
}

// end returns what was disclosed and belongs to no event of the bundle.
func (d *disclosure) end() []ledger.Finding {
	for at := range d.parts {
		d.left = append(d.left, ledger.Finding{Position: at, File: disclosedFile, Problem: "a key was disclosed for an event that the bundle does not hold"})
	}
	slices.SortFunc(d.left, func(a, b ledger.Finding) int { return int(a.Position - b.Position) })
	return d.left
}

// evidence returns the evidence of an event as far as it was disclosed.
func (d *disclosure) evidence(env eventstore.Envelope) ([]byte, error) {
	for _, part := range d.parts[env.Position] {
		if seal.Part(part.Part) == seal.Evidence {
			is, err := openedBy(part.PartKey, env)
			if err != nil {
				return nil, nil // event says so
			}
			return is.Bytes, nil
		}
	}
	return nil, nil
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

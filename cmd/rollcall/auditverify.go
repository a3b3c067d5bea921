package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/mod/sumdb/note"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// A verdict is what was found about a bundle and what devices signed in it.
type verdict struct {
	ledger.Verdict
	Signatures tally      `json:"signatures"`
	Disclosed  *disclosed `json:"disclosed,omitempty"`
	Bundled    disclosure `json:"bundled"`
}

// verify checks the bundle, what was disclosed in it, and the signatures in it as far as its evidence can be opened.
func (c *auditVerifyCmd) verify(ctx context.Context, how ledger.Verification) (_ verdict, err error) {
	d, err := readDisclosure(c.Bundle)
	if err != nil {
		return verdict{}, err
	}
	if c.Show {
		d.show = c.showPart
	}
	s := &signatures{Open: d.evidence}
	if (keeping{Keys: c.Keys}).shared() {
		c.Keys = "" // it stands in a file of settings that serves all commands
	}
	if c.Keys != "" {
		keys, err := openKeys(c.Keys)
		if err != nil {
			return verdict{}, err
		}
		defer func() { err = errors.Join(err, keys.Close()) }()
		codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: keys, Upcasts: catalog.Upcasts()}
		s.Open = codec.Evidence
	}
	given, end, err := c.given()
	if err != nil {
		return verdict{}, err
	}
	if given != nil && c.Keys == "" {
		s.Open = given.evidence
	}
	how.Event = func(env eventstore.Envelope) string {
		signed := s.event(env) // first: it asks what was disclosed
		if given != nil {
			signed = cmp.Or(given.event(env), signed)
		}
		return cmp.Or(d.event(env), signed)
	}
	v, err := how.Bundle(ctx, c.Bundle)
	if given != nil {
		given.end()
	}
	if left := d.end(); len(left) > 0 {
		v.Findings, v.Good = append(v.Findings, left...), false
	}
	return verdict{Verdict: v, Signatures: s.tally, Disclosed: given, Bundled: *d}, errors.Join(err, end())
}

// showPart prints what was disclosed of an event.
func (c *auditVerifyCmd) showPart(env eventstore.Envelope, part disclosedPart) {
	what := string(part.Plain)
	if len(part.Bytes) > 0 {
		what = strconv.Quote(string(part.Bytes))
	}
	fmt.Fprintf(c.out(), "position %d, %s %s, %s: %s\n", env.Position, env.Stream, env.Type, part.Part, what)
}

// given reads the keys that were disclosed, nil if none were, and opens the file for what they open.
func (c *auditVerifyCmd) given() (*disclosed, func() error, error) {
	nothing := func() error { return nil }
	if c.Disclosed == "" {
		if c.Opened != "" {
			return nil, nothing, errors.New("--opened wants the keys that open something: name them with --disclosed")
		}
		return nil, nothing, nil
	}
	d, err := readDisclosed(c.Disclosed)
	if err != nil || c.Opened == "" {
		return d, nothing, err
	}
	f, err := os.OpenFile(c.Opened, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nothing, fmt.Errorf("keep what is opened: %w", err)
	}
	d.out = f
	return d, f.Close, nil
}

// openKeys opens the keys of a data directory, or of a copy that was made with them.
func openKeys(dir string) (*seal.FileKeyring, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("--keys %s is no directory: name a data directory, or a backup that was made --with-keys", dir)
	}
	var none keeping
	for _, file := range none.keyFiles(dir) {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil && file != "index.key" {
			return nil, fmt.Errorf("%s holds no %s: name a data directory, or a backup that was made --with-keys", dir, file)
		}
	}
	from, err := none.custody(dir).From()
	if err != nil {
		return nil, err
	}
	master, err := seal.OpenSource(context.Background(), from, false) // a rotation under way is the server's to end
	if err != nil {
		return nil, err
	}
	return seal.OpenKeyring(filepath.Join(dir, "keys.db"), master, 0)
}

// publicKey reads the log's public key, none if no file is named.
func publicKey(file string) (note.Verifier, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	return ledger.ParsePublic(string(text))
}

// witnessed reads the checkpoints that somebody kept.
func witnessed(files []string) (all [][]byte, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read what a witness kept: %w", err)
		}
		some, err := ledger.ParseWitnessed(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

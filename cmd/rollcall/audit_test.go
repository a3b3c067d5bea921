package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// audited runs a real server through a small simulation, and returns its URL and data directory.
func audited(t *testing.T) (url, data string) {
	t.Helper()
	s := simulated(t)
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.URL, filepath.Join(filepath.Dir(s.DeviceCA), "data")
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s (%v)", url, resp.Status, body, err)
	}
	return string(body)
}

// An auditor takes a bundle from a server that runs, and finds what is done to it afterwards.
func TestAudit(t *testing.T) {
	url, data := audited(t)
	key := filepath.Join(t.TempDir(), "ledger.pub")
	if err := os.WriteFile(key, []byte(fetch(t, url+"/log/ledger.pub")), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	prints := auditPrints{Out: &out, JSON: true}
	bundle := filepath.Join(t.TempDir(), "bundle")
	if err := (&auditExportCmd{auditPrints: prints, premises: premises{Data: data}, Out: bundle}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	verify := func() (v ledger.Verdict, err error) {
		out.Reset()
		err = (&auditVerifyCmd{auditPrints: prints, Bundle: bundle, Key: key}).Run(t.Context())
		if err := json.Unmarshal(out.Bytes(), &v); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
		return v, err
	}
	if v, err := verify(); err != nil || !v.Good || !v.All || !v.KeyGiven || v.Events < 50 {
		t.Fatalf("an honest bundle: %+v, %v", v, err)
	}
	file := filepath.Join(bundle, "events.jsonl")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	lines[11] = bytes.Replace(lines[11], []byte(`"time":"20`), []byte(`"time":"19`), 1)
	if err := os.WriteFile(file, bytes.Join(lines, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := verify(); !errors.Is(err, errUnfit) || v.Good || v.Findings[0].Position != 12 {
		t.Errorf("a bundle with another time at position 12: %+v, %v", v, err)
	}
}

// The bundle of one device holds its events and their proofs, and does not say its UDID.
func TestAuditOfOneDevice(t *testing.T) {
	_, data := audited(t)
	var all, one bytes.Buffer
	dir := t.TempDir()
	if err := (&auditExportCmd{auditPrints: auditPrints{Out: &all}, premises: premises{Data: data}, Out: filepath.Join(dir, "all")}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "all", "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"kind":"device","stream":"`)
	pseudonym, _, _ := strings.Cut(rest, `"`)
	export := &auditExportCmd{auditPrints: auditPrints{Out: &one, JSON: true}, premises: premises{Data: data}, Out: filepath.Join(dir, "one"), Device: pseudonym}
	if err := export.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	var m ledger.Manifest
	if err := json.Unmarshal(one.Bytes(), &m); err != nil || m.Question.Stream != "device-"+pseudonym || m.Events < 3 {
		t.Errorf("%+v (%v)", m, err)
	}
	if proofs, err := os.ReadDir(filepath.Join(dir, "one", "proofs")); err != nil || int64(len(proofs)) != m.Events {
		t.Errorf("%d proofs of %d events (%v)", len(proofs), m.Events, err)
	}
	one.Reset()
	if err := (&auditVerifyCmd{auditPrints: auditPrints{Out: &one}, Bundle: filepath.Join(dir, "one")}).Run(t.Context()); err != nil || !strings.Contains(one.String(), "some events") {
		t.Errorf("%s (%v)", one.String(), err)
	}
	export.Device, export.Out = "nobody", filepath.Join(dir, "none")
	if err := export.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "knows no device nobody") {
		t.Errorf("a device that there is not: %v", err)
	}
}

func TestAuditCheckpointAndProof(t *testing.T) {
	_, data := audited(t)
	text, err := os.ReadFile(filepath.Join(data, ledger.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	public, err := ledger.ParsePublic(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&auditCheckpointCmd{auditPrints: auditPrints{Out: &out}, premises: premises{Data: data}}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := ledger.OpenCheckpoint(out.Bytes(), public); err != nil || c.Size < 50 {
		t.Errorf("%+v, %v", c, err)
	}
	out.Reset()
	if err := (&auditProveCmd{auditPrints: auditPrints{Out: &out}, premises: premises{Data: data}, Position: 9}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, err := ledger.ParseProof(out.Bytes()); err != nil || p.Index != 8 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := (&auditProveCmd{premises: premises{Data: data}, Position: 1 << 40}).Run(t.Context()); !errors.Is(err, ledger.ErrBeyond) {
		t.Errorf("a position that there is not: %v", err)
	}
	if err := (&auditCheckpointCmd{premises: premises{Data: t.TempDir()}}).Run(t.Context()); !errors.Is(err, ledger.ErrNoKey) {
		t.Errorf("a directory that is none: %v", err)
	}
}

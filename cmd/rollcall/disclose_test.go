package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// exported makes a bundle of a data directory.
func exported(t *testing.T, c auditExportCmd, dir string) (bundle string, err error) {
	t.Helper()
	c.Data, c.Out = dir, filepath.Join(t.TempDir(), "bundle")
	var out bytes.Buffer
	c.auditPrints.Out = &out
	return c.Out, c.Run(t.Context())
}

// judged verifies a bundle, and returns what was printed.
func judged(t *testing.T, bundle string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := &auditVerifyCmd{auditPrints: auditPrints{Out: &out}, Bundle: bundle, Show: true}
	err := c.Run(t.Context())
	return out.String(), err
}

func auditing(parts ...string) disclosing {
	return disclosing{Disclose: parts, Recipient: "the yearly audit", Reason: "question 7"}
}

func TestAnAuditorOpensWhatWasDisclosedAndNothingElse(t *testing.T) {
	dir := lived(t)
	signed(t, dir)
	bundle, err := exported(t, auditExportCmd{disclosing: auditing("personal"), Device: "U1"}, dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err := judged(t, bundle)
	if err != nil || !strings.Contains(out, "Good") || !strings.Contains(out, "were disclosed, and are what was sealed") {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "CANARYNAME-U1") || !strings.Contains(out, "CANARYAPP") {
		t.Errorf("the auditor does not see what was disclosed:\n%s", out)
	}
	text, err := os.ReadFile(filepath.Join(bundle, disclosedFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"CANARYUNLOCK", "Q0FOQVJZVU5MT0NL", "CANARYBODY", "CANARYEVIDENCE", "SERIALU2", "NAME-U2", `"U2"`} { // two letters alone stand in many a key
		if strings.Contains(out, hidden) || bytes.Contains(text, []byte(hidden)) {
			t.Errorf("%s was disclosed too", hidden)
		}
	}
	told := replayed(t, replayCmd{Device: "U1"}, dir)
	if !strings.Contains(told, "command line disclosed sealed parts (personal) of ") || !strings.Contains(told, "to the yearly audit: question 7") {
		t.Errorf("the timeline:\n%s", told)
	}
	if events, err := os.ReadFile(filepath.Join(bundle, "events.jsonl")); err != nil || !bytes.Contains(events, []byte("device.disclosed")) {
		t.Errorf("the bundle does not end with the event that says what it discloses: %v", err)
	}
	if _, err := exported(t, auditExportCmd{}, dir); err != nil {
		t.Error(err)
	}
}

func TestSecretsAndEvidenceAreDisclosedOnlyIfAskedFor(t *testing.T) {
	dir := lived(t)
	signed(t, dir)
	bundle, err := exported(t, auditExportCmd{disclosing: auditing("secret", "evidence")}, dir)
	if err != nil {
		t.Fatal(err)
	}
	out, err := judged(t, bundle)
	if err != nil || !strings.Contains(out, "CANARYBODY") || !strings.Contains(out, "CANARYEVIDENCE U2") || strings.Contains(out, "CANARYNAME") {
		t.Errorf("%v\n%s", err, out)
	}
	if told := replayed(t, replayCmd{}, dir); !strings.Contains(told, "Command line disclosed sealed parts (secret, evidence)") && !strings.Contains(told, "command line disclosed sealed parts (secret, evidence)") {
		t.Errorf("the log:\n%s", told)
	}
}

func TestNothingIsDisclosedWithoutAReason(t *testing.T) {
	dir := lived(t)
	signed(t, dir)
	for _, d := range []disclosing{{Disclose: []string{"personal"}, Recipient: "x"}, {Disclose: []string{"personal"}, Reason: "x"}} {
		bundle, err := exported(t, auditExportCmd{disclosing: d}, dir)
		if err == nil || !strings.Contains(err.Error(), "say to whom it is disclosed, and why") {
			t.Errorf("%v", err)
		}
		if _, err := os.Stat(bundle); err == nil {
			t.Error("there is a bundle")
		}
	}
}

// Whatever is changed in what was disclosed is found, and the event is named.
// A bundle that cannot be made discloses nothing, and the log does not say so.
func TestABundleThatCannotBeMadeDisclosesNothing(t *testing.T) {
	dir := lived(t)
	signed(t, dir)
	if _, err := exported(t, auditExportCmd{disclosing: auditing("personal"), Device: "CANARYSERIALU1"}, dir); err == nil || !strings.Contains(err.Error(), "knows no device") {
		t.Errorf("by a name that bundles do not know: %v", err)
	}
	c := auditExportCmd{auditPrints: auditPrints{Out: &bytes.Buffer{}}, disclosing: auditing("personal"), premises: premises{Data: dir}, Out: dir}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("where something is: %v", err)
	}
	if told := replayed(t, replayCmd{}, dir); strings.Contains(told, "disclosed sealed parts") {
		t.Errorf("the log says that something was disclosed:\n%s", told)
	}
}

func TestDiscloseFromAfarSaysWhatToAsk(t *testing.T) {
	c := auditExportCmd{remote: remote{Server: "https://mdm.example.com"}, disclosing: auditing("personal"), Out: t.TempDir()}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "audit verify --disclosed") {
		t.Errorf("it says %v", err)
	}
}

func TestADisclosureThatDoesNotFitIsFound(t *testing.T) {
	dir := lived(t)
	signed(t, dir)
	whole, err := exported(t, auditExportCmd{disclosing: auditing("personal")}, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		change func([]disclosedPart) []disclosedPart
		says   string
	}{
		{"a wrong key", func(p []disclosedPart) []disclosedPart { p[2].Key[5] ^= 1; return p }, "does not open its personal part"},
		{"swapped keys", func(p []disclosedPart) []disclosedPart { p[2].Key, p[3].Key = p[3].Key, p[2].Key; return p }, "does not open its personal part"},
		{"a short key", func(p []disclosedPart) []disclosedPart { p[2].Key = p[2].Key[:7]; return p }, "does not open its personal part"},
		{"an edited plaintext", func(p []disclosedPart) []disclosedPart {
			p[2].Plain = json.RawMessage(strings.Replace(string(p[2].Plain), "CANARY", "SPARROW", 1))
			return p
		}, "was disclosed as something else"},
		{"no plaintext", func(p []disclosedPart) []disclosedPart { p[2].Plain = nil; return p }, "was disclosed as something else"},
		{"another part's key", func(p []disclosedPart) []disclosedPart { p[2].Part = "secret"; return p }, "secret part"},
		{"an event that is not there", func(p []disclosedPart) []disclosedPart {
			extra := p[2]
			extra.Position = 9999
			return append(p, extra)
		}, "for an event that the bundle does not hold"},
	} {
		t.Run(c.what, func(t *testing.T) {
			bundle := filepath.Join(t.TempDir(), "b")
			if err := os.CopyFS(bundle, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			parts, text := readParts(t, bundle), bytes.Buffer{}
			slices.SortFunc(parts, func(a, b disclosedPart) int { return int(a.Position - b.Position) })
			at := parts[2].Position
			if c.what == "an event that is not there" {
				at = 9999
			}
			for _, part := range c.change(parts) {
				line, err := json.Marshal(part)
				if err != nil {
					t.Fatal(err)
				}
				text.Write(append(line, '\n'))
			}
			resum(t, bundle, text.Bytes())
			out, err := judged(t, bundle)
			if !errors.Is(err, errUnfit) || !strings.Contains(out, fmt.Sprintf("position %d (", at)) || !strings.Contains(out, c.says) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func readParts(t *testing.T, bundle string) (parts []disclosedPart) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(bundle, disclosedFile))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var part disclosedPart
		if err := json.Unmarshal(line, &part); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	return parts
}

// resum puts another disclosure into a bundle, and makes its sums fit, as whoever tampers would.
func resum(t *testing.T, bundle string, text []byte) {
	t.Helper()
	file := filepath.Join(bundle, "SHA256SUMS")
	old, err := os.ReadFile(filepath.Join(bundle, disclosedFile))
	sums, err2 := os.ReadFile(file)
	if err := errors.Join(err, err2, os.WriteFile(filepath.Join(bundle, disclosedFile), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) []byte { return fmt.Appendf(nil, "%x", sha256.Sum256(b)) }
	if err := os.WriteFile(file, bytes.Replace(sums, sum(old), sum(text), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

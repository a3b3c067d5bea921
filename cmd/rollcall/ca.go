package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// caCmd looks after the roots that issue the identities of devices, and after what they have issued.
type caCmd struct {
	List         caListCmd         `cmd:"" help:"List the roots in force."`
	Roll         caRollCmd         `cmd:"" help:"Have the running server make another root, which issues from now on; the ones before it are believed on."`
	Import       caImportCmd       `cmd:"" help:"Have a root of your own issue from now on; the ones before it are believed on."`
	Retire       caRetireCmd       `cmd:"" help:"End a root, and with it all that it has issued."`
	Certificates caCertificatesCmd `cmd:"" help:"List the certificates by which devices speak, or may speak."`
	Revoke       caRevokeCmd       `cmd:"" help:"Have a certificate believed no longer, at once and for ever."`
	CRL          caCRLCmd          `cmd:"" name:"crl" help:"Print a revocation list."`
}

// A rootLine is a root as the server tells it.
type rootLine struct {
	Fingerprint string    `json:"fingerprint"`
	Subject     string    `json:"subject"`
	Algorithm   string    `json:"algorithm"`
	Source      string    `json:"source"`
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	Issues      bool      `json:"issues"`
	Issued      int       `json:"issued"`
	Good        int       `json:"good"`
	Speaking    int       `json:"speaking"`
}

const rootFields = `{ fingerprint subject algorithm source notBefore notAfter issues issued good speaking }`

type caListCmd struct {
	served
	JSON bool `name:"json" help:"One JSON object a line, for programs."`
}

// Run fulfils kong's command.
func (c *caListCmd) Run(ctx context.Context) error {
	var told struct{ Roots []rootLine }
	if err := c.query(ctx, `{ roots `+rootFields+` }`, nil, &told); err != nil {
		return err
	}
	return printRoots(os.Stdout, told.Roots, c.JSON)
}

func printRoots(w io.Writer, roots []rootLine, asJSON bool) error {
	if asJSON {
		return jsonLines(w, roots)
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ROOT\tSUBJECT\tKEY\tFROM\tUNTIL\tCERTIFICATES\tDEVICES\t")
	for _, r := range roots {
		does := "is believed on"
		if r.Issues {
			does = "issues"
		}
		fmt.Fprintf(out, "%.16s\t%s\t%s\t%s\t%s\t%d good of %d\t%d\t%s\n", r.Fingerprint, r.Subject, r.Algorithm,
			r.NotBefore.Format(time.DateOnly), r.NotAfter.Format(time.DateOnly), r.Good, r.Issued, r.Speaking, does)
	}
	return out.Flush()
}

// jsonLines writes one JSON object a line.
func jsonLines[T any](w io.Writer, list []T) error {
	out := json.NewEncoder(w)
	for _, one := range list {
		if err := out.Encode(one); err != nil {
			return err
		}
	}
	return nil
}

type caRollCmd struct {
	served
	JSON bool `name:"json" help:"One JSON object a line, for programs."`
}

// Run fulfils kong's command.
func (c *caRollCmd) Run(ctx context.Context) error {
	var told struct{ RollOverRoot []rootLine }
	if err := c.query(ctx, `mutation { rollOverRoot `+rootFields+` }`, nil, &told); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "the first root issues from now on. When no device speaks by a certificate of another one any more, end that with rollcall ca retire")
	return printRoots(os.Stdout, told.RollOverRoot, c.JSON)
}

type caImportCmd struct {
	served
	Files []string `arg:"" name:"file" help:"The root's certificate and its key, PEM, without a password; - is standard input."`
	JSON  bool     `name:"json" help:"One JSON object a line, for programs."`
}

// Run fulfils kong's command.
func (c *caImportCmd) Run(ctx context.Context) error {
	pem, err := joined(c.Files)
	if err != nil {
		return err
	}
	var told struct{ ImportRoot []rootLine }
	if err := c.query(ctx, `mutation($pem: String!) { importRoot(pem: $pem) `+rootFields+` }`, map[string]any{"pem": pem}, &told); err != nil {
		return err
	}
	return printRoots(os.Stdout, told.ImportRoot, c.JSON)
}

type caRetireCmd struct {
	served
	Root   string `arg:"" help:"The root's fingerprint, or its beginning (8 digits or more), as ca list has it."`
	Reason string `required:"" help:"Why; kept in the log."`
	Force  bool   `help:"Even if devices speak by its certificates: they are refused from then on, and have to enrol anew."`
	JSON   bool   `name:"json" help:"One JSON object a line, for programs."`
}

// Run fulfils kong's command.
func (c *caRetireCmd) Run(ctx context.Context) error {
	root, err := c.root(ctx, c.Root)
	if err != nil {
		return err
	}
	if root.Speaking > 0 && !c.Force {
		return fmt.Errorf("%d devices speak by certificates of this root, and would be refused: wait until they are renewed, or say --force", root.Speaking)
	}
	var told struct{ RetireRoot []rootLine }
	err = c.query(ctx, `mutation($fingerprint: ID!, $reason: String!) { retireRoot(fingerprint: $fingerprint, reason: $reason) `+rootFields+` }`,
		map[string]any{"fingerprint": root.Fingerprint, "reason": c.Reason}, &told)
	if err != nil {
		return err
	}
	return printRoots(os.Stdout, told.RetireRoot, c.JSON)
}

// root returns the root in force whose fingerprint begins so.
func (s *served) root(ctx context.Context, beginning string) (found rootLine, err error) {
	if len(beginning) < 8 {
		return found, fmt.Errorf("%q could be any root: give 8 digits of its fingerprint or more, as rollcall ca list has it", beginning)
	}
	var told struct{ Roots []rootLine }
	if err := s.query(ctx, `{ roots `+rootFields+` }`, nil, &told); err != nil {
		return found, err
	}
	for _, r := range told.Roots {
		if hasPrefixFold(r.Fingerprint, beginning) {
			if found.Fingerprint != "" {
				return found, fmt.Errorf("%q is the beginning of two roots: give more digits", beginning)
			}
			found = r
		}
	}
	if found.Fingerprint == "" {
		return found, fmt.Errorf("no root in force begins with %q: rollcall ca list shows them", beginning)
	}
	return found, nil
}

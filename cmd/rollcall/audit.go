package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/projections"
)

// auditCmd takes evidence from a data directory, while the server runs or not, and checks evidence anywhere.
type auditCmd struct {
	Export     auditExportCmd     `cmd:"" help:"Make a bundle that an auditor can check alone."`
	Verify     auditVerifyCmd     `cmd:"" help:"Check a bundle. Needs neither server nor network; exit status 1 if something does not fit."`
	Checkpoint auditCheckpointCmd `cmd:"" help:"Print a signed checkpoint of the log."`
	Prove      auditProveCmd      `cmd:"" help:"Print the proof that one event is in the log."`
}

// auditPrints is where a command prints.
type auditPrints struct {
	Out  io.Writer `kong:"-"` // standard output if nil
	Err  io.Writer `kong:"-"` // for progress; standard error if nil
	JSON bool      `name:"json" help:"Print JSON, for programs."`
}

func (p *auditPrints) err() io.Writer {
	if p.Err == nil {
		return os.Stderr
	}
	return p.Err
}

func (p *auditPrints) out() io.Writer {
	if p.Out == nil {
		return os.Stdout
	}
	return p.Out
}

// text prints a text as it is, or as the one field of a JSON object.
func (p *auditPrints) text(name string, text []byte) error {
	if p.JSON {
		return json.NewEncoder(p.out()).Encode(map[string]string{name: string(text)})
	}
	_, err := p.out().Write(text)
	return err
}

type auditExportCmd struct {
	auditPrints
	remote
	disclosing
	premises
	Out      string `required:"" placeholder:"DIR" help:"Where the bundle goes: a directory that is empty or not there."`
	From     moment `placeholder:"TIME" help:"Only events at this time or later: 2026-01-31T12:00:00Z, or a date."`
	To       moment `placeholder:"TIME" help:"Only events before this time."`
	Device   string `placeholder:"UDID" help:"Only events of this device: its UDID, EnrollmentID, serial number or pseudonym."`
	Position int64  `placeholder:"N" help:"As if the log ended at this position; its end if not set. The same position gives the same bytes."`
}

// Run fulfils kong's command.
func (c *auditExportCmd) Run(ctx context.Context) error {
	if c.Server != "" && len(c.Disclose) > 0 {
		return errors.New("--disclose works on the server's own machine, without --server; from afar, ask the mutation disclose for keys, and give its answer to audit verify --disclosed")
	}
	if c.Server != "" {
		return c.fetch(ctx)
	}
	if err := c.mayBegin(ctx); err != nil {
		return err
	}
	keys, at, err := c.disclosed(ctx)
	if err != nil {
		return err
	}
	return withEvidence(ctx, c.premises, func(e evidence) error {
		if err := c.placed(ctx, e, keys, at); err != nil {
			return err
		}
		stream, err := c.stream(ctx, e.log)
		if err != nil {
			return err
		}
		last, err := end(ctx, e.Ledger, c.Position)
		if err != nil {
			return err
		}
		q, err := question(ctx, e.log, c.From, c.To, stream, last)
		if err != nil {
			return err
		}
		p := newProgress(c.err(), "exporting", 1)
		defer p.end()
		x := &ledger.Export{
			Ledger: e.Ledger, Log: e.log, Question: q,
			Position: last, Program: "rollcall " + version, Progress: p.count,
		}
		m, err := x.Write(ctx, c.Out)
		if err == nil && at > 0 {
			err = disclose(c.Out, keys)
		}
		if err != nil {
			return err
		}
		return c.print(m)
	})
}

// fetch takes the bundle from a server.
func (c *auditExportCmd) fetch(ctx context.Context) error {
	if err := c.export(ctx, c.query(), c.Out); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(c.Out, ledger.ManifestFile))
	if err != nil {
		return err
	}
	var m ledger.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("read the bundle's manifest: %w", err)
	}
	return c.print(m)
}

// count is told how many of how many.
func (p *progress) count(done, of int64) {
	p.of = of
	p.at(done)
}

// stream returns the stored name of the device's stream, if one was asked for. The bundle does not name the UDID.
func (c *auditExportCmd) stream(ctx context.Context, log ledger.Events) (string, error) {
	if c.Device == "" {
		return "", nil
	}
	names := []string{c.Device}
	if _, err := os.Stat(filepath.Join(c.Data, "index.key")); err == nil {
		p, err := seal.OpenPseudonyms(filepath.Join(c.Data, "index.key"))
		if err != nil {
			return "", err
		}
		names = append(names, p.Device(c.Device))
	}
	if id, err := c.bySerial(ctx); err != nil {
		return "", err
	} else if id != "" {
		names = append(names, id)
	}
	for env, err := range log.ReadAll(ctx, 0) {
		if err != nil {
			return "", err
		}
		for _, id := range names {
			if s := (eventstore.Stream{Kind: device.Kind, ID: id}); env.Stream == s {
				return s.String(), nil
			}
		}
	}
	return "", fmt.Errorf("the log knows no device %s", c.Device)
}

// bySerial finds the pseudonym of a device by its serial number, as the views of the directory know it; none if they do
// not, or if there are none.
func (c *auditExportCmd) bySerial(ctx context.Context) (id string, err error) {
	views, err := projections.OpenReadOnly(ctx, c.file("views.db"), projections.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", nil //nolint:nilerr // a directory without views that fit knows no serial numbers; the other names are looked for in the log
	}
	d, _, err := views.Device(ctx, c.Device, projections.Now)
	return d.ID, errors.Join(err, views.Close())
}

func (c *auditExportCmd) print(m ledger.Manifest) error {
	if c.JSON {
		return json.NewEncoder(c.out()).Encode(m)
	}
	_, err := fmt.Fprintf(c.out(), "%s holds %d events of the log %s up to position %d (%s).\nCheck it with: rollcall audit verify %s --key %s\n",
		c.Out, m.Events, m.Origin, m.Position, m.Time, c.Out, ledger.PublicFile)
	return err
}

type auditVerifyCmd struct {
	auditPrints
	Bundle    string   `arg:"" type:"existingdir" help:"The bundle's directory."`
	Key       string   `type:"existingfile" placeholder:"FILE" help:"The log's public key (ledger.pub), got by another way than the bundle."`
	Witnessed []string `type:"existingfile" placeholder:"FILE" help:"Checkpoints that you or a witness kept: the log must still begin with what they say."`
	Disclosed string   `type:"existingfile" placeholder:"FILE" help:"Keys that you were given, as the server's disclose answers: each must open its part of its event as it stands in the bundle."`
	Opened    string   `placeholder:"FILE" help:"Where to write what they open, a JSON object a line: a file that is not there."`
	Show      bool     `help:"Print what was disclosed in the bundle, event by event."`
	Keys      string   `env:"-" placeholder:"DIR" help:"A data directory, or a copy of its keys, that opens what devices sent, so that their signatures can be checked."`
}

// errUnfit makes the exit status 1.
var errUnfit = errors.New("the bundle does not fit")

// Run fulfils kong's command.
func (c *auditVerifyCmd) Run(ctx context.Context) error {
	public, err := publicKey(c.Key)
	if err != nil {
		return err
	}
	p := newProgress(c.err(), "verifying", 1)
	how := ledger.Verification{Public: public, Progress: p.count}
	if how.Witnessed, err = witnessed(c.Witnessed); err != nil {
		return err
	}
	v, err := c.verify(ctx, how)
	p.end()
	if err == nil {
		err = c.print(v)
	}
	if err == nil && !v.Good {
		err = errUnfit
	}
	return err
}

func (c *auditVerifyCmd) print(v verdict) error {
	if c.JSON {
		return json.NewEncoder(c.out()).Encode(v)
	}
	var b strings.Builder
	for _, f := range v.Findings {
		fmt.Fprintln(&b, f)
	}
	if v.Good {
		what := "some events"
		if v.All {
			what = "all events"
		}
		fmt.Fprintf(&b, "Good: %d events (%s of the log %s up to position %d) are what was signed.\nRoot %s\n", v.Events, what, v.Origin, v.Size, v.Root)
	}
	if len(c.Witnessed) > 0 {
		fmt.Fprintf(&b, "It agrees with %d of the checkpoints that were kept elsewhere.\n", v.Agreed)
	}
	if v.Disclosed != nil {
		fmt.Fprintf(&b, "The disclosed keys open %d sealed parts, as they were appended.\n", v.Disclosed.Opened)
		if v.Disclosed.Elsewhere > 0 {
			fmt.Fprintf(&b, "Of the keys, %d are for events that the bundle does not hold.\n", v.Disclosed.Elsewhere)
		}
	}
	if v.Bundled.Parts > 0 {
		fmt.Fprintf(&b, "Of what is sealed, %d parts of %d events were disclosed, and are what was sealed.\n", v.Bundled.Parts, v.Bundled.Events)
	}
	fmt.Fprintf(&b, "Of what devices sent, %s.\n", v.Signatures)
	if !v.KeyGiven {
		fmt.Fprintf(&b, "The key came from the bundle itself: give --key with a %s that you have from elsewhere, to know whose log this is.\n", ledger.PublicFile)
	}
	_, err := io.WriteString(c.out(), b.String())
	return err
}

type auditCheckpointCmd struct {
	auditPrints
	remote
	premises
}

// Run fulfils kong's command.
func (c *auditCheckpointCmd) Run(ctx context.Context) error {
	if c.Server != "" {
		signed, _, err := c.checkpoint(ctx)
		if err != nil {
			return err
		}
		return c.text("checkpoint", signed)
	}
	return withEvidence(ctx, c.premises, func(e evidence) error {
		signed, err := e.Checkpoint(ctx)
		if err != nil {
			return err
		}
		return c.text("checkpoint", signed)
	})
}

type auditProveCmd struct {
	auditPrints
	remote
	premises
	Position int64 `arg:"" help:"The event's position, as replay and GraphQL show it."`
}

// Run fulfils kong's command.
func (c *auditProveCmd) Run(ctx context.Context) error {
	if c.Server != "" {
		p, err := c.prove(ctx, eventstore.Position(c.Position))
		if err != nil {
			return err
		}
		return c.text("proof", p.Text())
	}
	return withEvidence(ctx, c.premises, func(e evidence) error {
		place, err := e.place(ctx, eventstore.Position(c.Position))
		if err != nil {
			return err
		}
		p, err := e.Prove(ctx, place, 0)
		if err != nil {
			return err
		}
		return c.text("proof", p.Text())
	})
}

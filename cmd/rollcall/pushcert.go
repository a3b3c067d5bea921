package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// pushcertCmd takes a push certificate through its year: a request, a vendor's signature, Apple's portal, and back.
type pushcertCmd struct {
	CSR    pushcertCSRCmd    `cmd:"" name:"csr" help:"Have the running server make a key and a request for a push certificate; the key stays there."`
	Sign   pushcertSignCmd   `cmd:"" help:"Sign a request with an MDM vendor's certificate: makes the file that Apple's portal takes. Asks no server."`
	Import pushcertImportCmd `cmd:"" help:"Give the running server what Apple's portal gave."`
	List   pushcertListCmd   `cmd:"" help:"List push certificates, and requests that wait."`
}

// A served is a server that runs: on a data directory here, or elsewhere.
type served struct {
	asking
	Data string `default:"./data" placeholder:"DIR" help:"The server's data directory."`
}

func (s *served) query(ctx context.Context, query string, variables map[string]any, data any) error {
	return s.ask(ctx, s.Data, query, variables, data)
}

type pushcertCSRCmd struct {
	served
	Name    string `required:"" placeholder:"NAME" help:"In whose name, such as the organisation's."`
	Email   string `placeholder:"ADDRESS" help:"Whom Apple may write to."`
	Country string `placeholder:"XX" help:"Two capital letters."`
	Topic   string `placeholder:"TOPIC" help:"That of the certificate that is to be renewed; none for the first."`
	Out     string `short:"o" placeholder:"FILE" help:"Where to write the request, PEM; standard output if not said."`
}

// Run fulfils kong's command.
func (c *pushcertCSRCmd) Run(ctx context.Context) error {
	var told struct {
		RequestPushCertificate struct{ ID, CSR string }
	}
	err := c.query(ctx, `mutation($name: String!, $email: String, $country: String, $topic: String) {
		requestPushCertificate(commonName: $name, email: $email, country: $country, topic: $topic) { id csr } }`,
		map[string]any{"name": c.Name, "email": c.Email, "country": c.Country, "topic": c.Topic}, &told)
	if err != nil {
		return err
	}
	return deliver(c.Out, []byte(told.RequestPushCertificate.CSR),
		"have it signed by an MDM vendor (rollcall pushcert sign, or the vendor's service), then take it to https://identity.apple.com/pushcert")
}

// deliver writes a result to a file and says what comes next, or to standard output.
func deliver(file string, text []byte, next string) error {
	if file == "" {
		_, err := os.Stdout.Write(text)
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil { // #nosec G703 -- whoever types the command names the file
		return err
	}
	fmt.Fprintf(os.Stderr, "%s is written: %s\n", file, next)
	return nil
}

type pushcertSignCmd struct {
	CSR   string   `arg:"" name:"csr" type:"existingfile" help:"The request, PEM or DER."`
	Chain []string `name:"vendor-cert" required:"" type:"existingfile" placeholder:"FILE" help:"The vendor's certificate, Apple's intermediate and Apple's root, PEM: in one file or in several."`
	Key   string   `name:"vendor-key" required:"" type:"existingfile" placeholder:"FILE" help:"The vendor's key, PEM, without a password."`
	Out   string   `short:"o" placeholder:"FILE" help:"Where to write the file for the portal; standard output if not said."`
}

// Run fulfils kong's command.
func (c *pushcertSignCmd) Run() error {
	var vendor []byte
	for _, file := range append(c.Chain, c.Key) {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		vendor = append(append(vendor, text...), '\n')
	}
	csr, err := os.ReadFile(c.CSR)
	if err != nil {
		return err
	}
	text, err := portalFile(csr, vendor, time.Now())
	if err != nil {
		return err
	}
	return deliver(c.Out, text, "upload it at https://identity.apple.com/pushcert; to renew, at the entry that is there already, for a new one has a new topic")
}

// portalFile makes what Apple's portal takes: a property list, base64.
func portalFile(csr, vendor []byte, now time.Time) ([]byte, error) {
	v, err := pushcert.ReadVendor(vendor, now)
	if err != nil {
		return nil, err
	}
	signed, err := v.Sign(csr)
	if err != nil {
		return nil, err
	}
	list, err := plist.Marshal(signed)
	if err != nil {
		return nil, err
	}
	return append(base64.StdEncoding.AppendEncode(nil, list), '\n'), nil
}

type pushcertImportCmd struct {
	served
	Files []string `arg:"" name:"file" help:"The certificate that Apple gave, PEM, and its key unless the server made it; - is standard input."`
	Force bool     `help:"Take a certificate for a new topic while there are others, whose devices it cannot reach."`
}

// A pushCertificate is one as the server tells it.
type pushCertificate struct {
	Topic    string `json:"topic"`
	NotAfter string `json:"notAfter"`
	DaysLeft int    `json:"daysLeft"`
	Devices  int    `json:"devices"`
	Warning  string `json:"warning,omitempty"`
}

// Run fulfils kong's command.
func (c *pushcertImportCmd) Run(ctx context.Context) error {
	pem, err := joined(c.Files)
	if err != nil {
		return err
	}
	var told struct{ ImportPushCertificate pushCertificate }
	err = c.query(ctx, `mutation($pem: String!, $force: Boolean) { importPushCertificate(pem: $pem, force: $force) { topic notAfter daysLeft devices } }`,
		map[string]any{"pem": pem, "force": c.Force}, &told)
	if err != nil {
		return err
	}
	stored := told.ImportPushCertificate
	fmt.Printf("pushes for %s use it from now on; it is good until %s (%d days), for %d devices\n", stored.Topic, stored.NotAfter, stored.DaysLeft, stored.Devices)
	return nil
}

func contents(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(file)
}

// joined returns the contents of files one after the other, as PEM may stand in several.
func joined(files []string) (string, error) {
	var all strings.Builder
	for _, file := range files {
		text, err := contents(file)
		if err != nil {
			return "", err
		}
		all.Write(append(text, '\n'))
	}
	return all.String(), nil
}

type pushcertListCmd struct {
	served
	JSON bool `name:"json" help:"One JSON object, for programs."`
}

// A pushCertificates is what there is of push certificates.
type pushCertificates struct {
	PushCertificates        []pushCertificate `json:"pushCertificates"`
	PushCertificateRequests []struct {
		ID         string  `json:"id"`
		CommonName string  `json:"commonName"`
		Topic      *string `json:"topic"`
		MadeAt     string  `json:"madeAt"`
		AnsweredAt *string `json:"answeredAt"`
	} `json:"pushCertificateRequests"`
}

// Run fulfils kong's command.
func (c *pushcertListCmd) Run(ctx context.Context) error {
	var all pushCertificates
	err := c.query(ctx, `{ pushCertificates { topic notAfter daysLeft devices warning } pushCertificateRequests { id commonName topic madeAt answeredAt } }`, nil, &all)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(all)
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "TOPIC\tGOOD UNTIL\tDAYS\tDEVICES\tWARNING")
	for _, p := range all.PushCertificates {
		fmt.Fprintf(out, "%s\t%s\t%d\t%d\t%s\n", p.Topic, p.NotAfter, p.DaysLeft, p.Devices, p.Warning)
	}
	for _, r := range all.PushCertificateRequests {
		if r.AnsweredAt == nil {
			fmt.Fprintf(out, "(request %.8s of %s for %s waits for its certificate)\t\t\t\t\n", r.ID, r.MadeAt, r.CommonName)
		}
	}
	return out.Flush()
}

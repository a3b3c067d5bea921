package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// A certificateLine is a certificate of a device as the server tells it.
type certificateLine struct {
	Fingerprint string     `json:"fingerprint"`
	Serial      string     `json:"serial"`
	Issuer      string     `json:"issuer,omitempty"`
	NotAfter    *time.Time `json:"notAfter,omitempty"`
	Road        string     `json:"road,omitempty"`
	Follows     string     `json:"follows,omitempty"`
	FollowedBy  string     `json:"followedBy,omitempty"`
	Clones      int        `json:"clones,omitempty"`
	OverdueAt   *time.Time `json:"overdueAt,omitempty"`
	RevokedAt   *time.Time `json:"revokedAt,omitempty"`
	Because     string     `json:"because,omitempty"`
	Device      *holder    `json:"device,omitempty"`
	IntendedFor *holder    `json:"intendedFor,omitempty"`
}

// A holder is a device as a certificate tells of it.
type holder struct {
	ID           string `json:"id"`
	SerialNumber string `json:"serialNumber,omitempty"`
	Name         string `json:"name,omitempty"`
}

// String returns what a list shows of a device, if there is one: its serial number or, where that is not known, its id; and its name.
func (h *holder) String() string {
	switch {
	case h == nil:
		return ""
	case h.SerialNumber != "":
		return strings.TrimSpace(h.SerialNumber + " " + h.Name)
	}
	return strings.TrimSpace(h.ID + " " + h.Name)
}

const certificateFields = `fingerprint serial issuer notAfter road follows followedBy clones overdueAt revokedAt because device { id serialNumber name } intendedFor { id serialNumber name }`

type caCertificatesCmd struct {
	served
	Device   string `placeholder:"ID" help:"Those that this device speaks by, spoke by, or that were issued for it."`
	Expiring int    `placeholder:"DAYS" help:"Those by which devices speak and that end within so many days."`
	Overdue  bool   `help:"Those by which devices speak, that end soon, and in whose place another should have come by now."`
	Revoked  bool   `help:"Those that were revoked."`
	JSON     bool   `name:"json" help:"One JSON object a line, for programs."`
}

// Run fulfils kong's command.
func (c *caCertificatesCmd) Run(ctx context.Context) error {
	about := map[string]any{"device": orNil(c.Device)}
	if c.Expiring > 0 {
		about["before"], about["speaks"], about["revoked"] = time.Now().AddDate(0, 0, c.Expiring).UTC().Format(time.RFC3339), true, false
	}
	if c.Revoked {
		about["revoked"] = true
	}
	if c.Overdue {
		about["overdue"] = true
	}
	list, err := c.certificates(ctx, about)
	if err != nil {
		return err
	}
	if c.JSON {
		return jsonLines(os.Stdout, list)
	}
	return printCertificates(os.Stdout, list, time.Now())
}

// orNil is a variable of a query: null if it is empty.
func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// certificates asks for all certificates that these variables choose.
func (s *served) certificates(ctx context.Context, about map[string]any) (all []certificateLine, err error) {
	for {
		var told struct {
			IdentityCertificates struct {
				Nodes    []certificateLine
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
			}
		}
		err := s.query(ctx, `query($device: ID, $before: Time, $speaks: Boolean, $revoked: Boolean, $overdue: Boolean, $serial: String, $after: String) {
			identityCertificates(first: 200, after: $after, device: $device, expiresBefore: $before, speaks: $speaks, revoked: $revoked, overdue: $overdue, serial: $serial) {
				nodes { `+certificateFields+` } pageInfo { hasNextPage endCursor } } }`, about, &told)
		if err != nil {
			return nil, err
		}
		all = append(all, told.IdentityCertificates.Nodes...)
		if !told.IdentityCertificates.PageInfo.HasNextPage {
			return all, nil
		}
		about["after"] = told.IdentityCertificates.PageInfo.EndCursor
	}
}

func printCertificates(w io.Writer, list []certificateLine, now time.Time) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "SERIAL\tUNTIL\tDAYS\tROAD\tDEVICE\t")
	for _, c := range list {
		until, days := "", ""
		if c.NotAfter != nil {
			until, days = c.NotAfter.Format(time.DateOnly), fmt.Sprint(int(c.NotAfter.Sub(now)/(24*time.Hour)))
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Serial, until, days, c.Road, c.Device, c.standing())
	}
	return out.Flush()
}

// standing says how a certificate stands, in words.
func (c certificateLine) standing() string {
	var words []string
	switch {
	case c.RevokedAt != nil:
		words = append(words, "revoked "+c.RevokedAt.Format(time.DateOnly)+" ("+c.Because+")")
	case c.Device != nil:
		words = append(words, "in use")
		if c.OverdueAt != nil {
			words = append(words, "not renewed in time")
		}
	case c.FollowedBy != "":
		words = append(words, "followed by another")
	case c.IntendedFor != nil:
		words = append(words, "issued for "+c.IntendedFor.String()+", not in use")
	default:
		words = append(words, "not in use")
	}
	if c.Clones > 0 {
		words = append(words, fmt.Sprintf("spoke for another device %d times: somebody has a copy of its key", c.Clones))
	}
	return strings.Join(words, "; ")
}

type caRevokeCmd struct {
	served
	Serial  string `arg:"" help:"The certificate's serial number, as ca certificates has it, or its fingerprint."`
	Because string `enum:"unspecified,key-compromise,affiliation-changed,superseded,cessation-of-operation,privilege-withdrawn" default:"unspecified" help:"As revocation lists tell it: ${enum}."`
	Reason  string `required:"" help:"Why, in words that name nobody; kept in the log."`
	JSON    bool   `name:"json" help:"One JSON object, for programs."`
}

// Run fulfils kong's command.
func (c *caRevokeCmd) Run(ctx context.Context) error {
	fingerprint, err := c.fingerprint(ctx)
	if err != nil {
		return err
	}
	var told struct{ RevokeCertificate certificateLine }
	err = c.query(ctx, `mutation($fingerprint: ID!, $because: RevocationReason!, $reason: String!) {
		revokeCertificate(fingerprint: $fingerprint, because: $because, reason: $reason) { `+certificateFields+` } }`,
		map[string]any{"fingerprint": fingerprint, "because": strings.ToUpper(strings.ReplaceAll(c.Because, "-", "_")), "reason": c.Reason}, &told)
	if err != nil {
		return err
	}
	revoked := told.RevokeCertificate
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(revoked)
	}
	if revoked.Device != nil {
		fmt.Fprintf(os.Stderr, "%s spoke by it: it is refused until it enrols anew, and stays enrolled\n", revoked.Device)
	}
	return printCertificates(os.Stdout, []certificateLine{revoked}, time.Now())
}

// fingerprint returns that of the certificate which is meant.
func (c *caRevokeCmd) fingerprint(ctx context.Context) (string, error) {
	if len(c.Serial) == 64 {
		return c.Serial, nil
	}
	list, err := c.certificates(ctx, map[string]any{"serial": c.Serial})
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return "", errors.New("no certificate has this serial number: rollcall ca certificates lists them")
	case len(list) == 1:
		return list[0].Fingerprint, nil
	}
	var which []string
	for _, one := range list {
		which = append(which, one.Fingerprint)
	}
	return "", fmt.Errorf("%d certificates have this serial number, of several issuers: name one by its fingerprint: %s", len(list), strings.Join(which, ", "))
}

type caCRLCmd struct {
	served
	Root string `placeholder:"FINGERPRINT" help:"The root whose list it is, or the beginning of its fingerprint; the one that issues if not said."`
	DER  bool   `help:"DER, not PEM."`
}

// Run fulfils kong's command.
func (c *caCRLCmd) Run(ctx context.Context) error {
	var of any
	if c.Root != "" {
		root, err := c.root(ctx, c.Root)
		if err != nil {
			return err
		}
		of = root.Fingerprint
	}
	var told struct{ RevocationList string }
	if err := c.query(ctx, `query($root: ID) { revocationList(root: $root) }`, map[string]any{"root": of}, &told); err != nil {
		return err
	}
	text := []byte(told.RevocationList)
	if c.DER {
		block, _ := pem.Decode(text)
		if block == nil {
			return errors.New("the server gave no revocation list")
		}
		text = block.Bytes
	}
	_, err := os.Stdout.Write(text)
	return err
}

// hasPrefixFold reports whether the text begins so, in capitals or not.
func hasPrefixFold(text, beginning string) bool {
	return len(text) >= len(beginning) && strings.EqualFold(text[:len(beginning)], beginning)
}

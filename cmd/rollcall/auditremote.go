package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A remote is a server that is asked over the network, in place of its data directory.
type remote struct {
	Server   string `placeholder:"URL" help:"Ask a server that runs, e.g. https://mdm.example.com, in place of a data directory."`
	Token    string `placeholder:"TOKEN" help:"An auditor's API token for --server. @FILE reads it from a file."`
	ServerCA string `name:"server-ca" type:"existingfile" placeholder:"FILE" help:"The root that --server's certificate chains to, PEM, if it is none of this machine's."`
}

// get asks the server. The caller closes what it returns.
func (r *remote) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	client, err := r.client()
	if err != nil {
		return nil, err
	}
	address := strings.TrimRight(r.Server, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("--server %q is no address: give one like https://mdm.example.com", r.Server)
	}
	token, err := textOrFile(r.Token)
	if err != nil {
		return nil, fmt.Errorf("read the API token: %w", err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // as much of the reason as came
		return nil, errors.Join(fmt.Errorf("the server answered %s: %s", resp.Status, strings.TrimSpace(string(text))), resp.Body.Close())
	}
	return resp.Body, nil
}

func (r *remote) client() (*http.Client, error) {
	if r.ServerCA == "" {
		return http.DefaultClient, nil
	}
	pem, err := os.ReadFile(r.ServerCA)
	if err != nil {
		return nil, fmt.Errorf("read --server-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--server-ca %s holds no certificate in PEM form", r.ServerCA)
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}, nil
}

// textOrFile returns the text, or what stands in the file that it names behind an @.
func textOrFile(text string) (string, error) {
	name, ok := strings.CutPrefix(text, "@")
	if !ok {
		return text, nil
	}
	b, err := os.ReadFile(name)
	return strings.TrimSpace(string(b)), err
}

// page asks the server for something short.
func (r *remote) page(ctx context.Context, path string) ([]byte, error) {
	body, err := r.get(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, 1<<20))
}

// export fetches a bundle into a directory, and checks what came.
func (r *remote) export(ctx context.Context, q url.Values, dir string) error {
	to, err := ledger.NewDir(dir)
	if err != nil {
		return err
	}
	body, err := r.get(ctx, "/log/export", q)
	if err != nil {
		return err
	}
	defer body.Close()
	file, err := os.CreateTemp(filepath.Dir(filepath.Clean(dir)), ".bundle-*.zip") // the disk that has room for it
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(file.Close(), os.Remove(file.Name())) }()
	size, err := io.Copy(file, body)
	if err != nil {
		return fmt.Errorf("the bundle broke off: %w", err)
	}
	if err := ledger.Unzip(file, size, to); err != nil {
		return err
	}
	v, err := ledger.Verify(ctx, dir, nil, nil)
	if err == nil && !v.Good {
		err = fmt.Errorf("the server's bundle does not fit: %s", v.Findings[0])
	}
	return err
}

// query is the question as the server's door is asked it.
func (c *auditExportCmd) query() url.Values {
	q := url.Values{}
	for name, at := range map[string]moment{"from": c.From, "to": c.To} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	if c.Device != "" {
		q.Set("device", c.Device)
	}
	if c.Position > 0 {
		q.Set("position", strconv.FormatInt(c.Position, 10))
	}
	return q
}

// checkpoint returns the server's newest checkpoint, and the key that has signed it.
func (r *remote) checkpoint(ctx context.Context) (signed []byte, c ledger.Checkpoint, err error) {
	text, err := r.page(ctx, "/log/ledger.pub")
	if err != nil {
		return nil, c, err
	}
	var public note.Verifier
	if public, err = ledger.ParsePublic(string(text)); err != nil {
		return nil, c, err
	}
	if signed, err = r.page(ctx, "/log/checkpoint"); err != nil {
		return nil, c, err
	}
	c, err = ledger.OpenCheckpoint(signed, public)
	return signed, c, err
}

// prove makes the proof for a position itself, of the tiles that the server shows to everybody.
func (r *remote) prove(ctx context.Context, at eventstore.Position) (ledger.Proof, error) {
	text, err := r.page(ctx, fmt.Sprintf("/log/place/%d", at))
	if err != nil {
		return ledger.Proof{}, err
	}
	place, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return ledger.Proof{}, errors.New("the server does not tell the event's place: is --server a Rollcall?")
	}
	at = eventstore.Position(place)
	signed, c, err := r.checkpoint(ctx)
	if err != nil {
		return ledger.Proof{}, err
	}
	if at < 1 || int64(at) > c.Size {
		return ledger.Proof{}, fmt.Errorf("%w: position %d of %d", ledger.ErrBeyond, at, c.Size)
	}
	path, err := tlog.ProveRecord(c.Size, int64(at)-1, tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tiles{ctx, r}))
	if err != nil {
		return ledger.Proof{}, fmt.Errorf("prove position %d: %w", at, err)
	}
	return ledger.Proof{Index: int64(at) - 1, Path: path, Checkpoint: signed}, nil
}

// Tiles are those that a server shows. They are checked against the checkpoint when they are used.
type tiles struct {
	ctx context.Context //nolint:containedctx // tlog's interface takes none
	*remote
}

func (tiles) Height() int { return ledger.TileHeight }

func (t tiles) ReadTiles(want []tlog.Tile) (all [][]byte, err error) {
	for _, tile := range want {
		data, err := t.page(t.ctx, "/log/"+ledger.TileName(tile))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

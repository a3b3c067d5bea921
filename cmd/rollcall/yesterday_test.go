package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// unpack unpacks a directory that a program of yesterday made: see testdata/yesterday/make.sh.
func unpack(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir, in := t.TempDir(), tar.NewReader(plain)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil || !filepath.IsLocal(h.Name) {
			t.Fatalf("%s: %v", h.Name, err)
		}
		path := filepath.Join(dir, h.Name)
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o700)
		} else {
			var text []byte
			if text, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(path, text, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// yesterdays calls test for each data directory that a program of yesterday made, with a copy of its own.
func yesterdays(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	packs, err := filepath.Glob("testdata/yesterday/*.tar.gz")
	if err != nil || len(packs) == 0 {
		t.Fatalf("there are no packs (%v)", err)
	}
	for _, pack := range packs {
		t.Run(filepath.Base(pack), func(t *testing.T) { test(t, unpack(t, pack)) })
	}
}

// Whoever takes evidence from a directory of yesterday need not start a server first.
func TestYesterdaysDirectoryIsExported(t *testing.T) {
	yesterdays(t, func(t *testing.T, dir string) {
		var out bytes.Buffer
		c := &auditExportCmd{auditPrints: auditPrints{Out: &out}, premises: premises{Data: filepath.Join(dir, "data")}, Out: filepath.Join(dir, "made")}
		if err := c.Run(t.Context()); err != nil || !strings.Contains(out.String(), "holds 74 events") {
			t.Errorf("%v\n%s", err, &out)
		}
	})
}

// The log of yesterday's program is read, opened, folded and proven by today's, and its views are brought to today's
// form; what was forgotten stays so.
func TestYesterdaysDirectoryIsVerified(t *testing.T) {
	yesterdays(t, func(t *testing.T, dir string) {
		openPast(t, filepath.Join(dir, "data"), morning).close() // today's server has run once
		c := &verifyCmd{stopped: stopped{Data: filepath.Join(dir, "data")}, Most: 20}
		out, err := run(t, &c.stopped, c)
		if err != nil || !strings.Contains(out, "74 events") || !strings.Contains(out, "agree with the log") {
			t.Errorf("%v\n%s", err, out)
		}
		r := &replayCmd{stopped: stopped{Data: filepath.Join(dir, "data")}}
		out, err = run(t, &r.stopped, r)
		for _, want := range []string{"Grace", "authenticated", "acknowledged", "stranger's message", "the fixture forgets one"} {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("the replay does not tell %q (%v)\n%s", want, err, out)
			}
		}
		if strings.Contains(out, "cannot be opened") || strings.Contains(out, "does not know") {
			t.Errorf("something is not understood any more:\n%s", out)
		}
	})
}

// What yesterday's program signed holds for today's: a bundle of then is verified, and one of now holds the same events.
func TestYesterdaysProofHolds(t *testing.T) {
	yesterdays(t, func(t *testing.T, dir string) {
		then, data, now := filepath.Join(dir, "bundle"), filepath.Join(dir, "data"), filepath.Join(dir, "now")
		prints := auditPrints{Out: &bytes.Buffer{}}
		openPast(t, data, time.Now()).close() // brings the log's file to today's form
		key := filepath.Join(data, ledger.PublicFile)
		if err := (&auditVerifyCmd{auditPrints: prints, Bundle: then, Key: key, Keys: data}).Run(t.Context()); err != nil {
			t.Fatalf("the bundle of then: %v\n%s", err, prints.Out)
		}
		if err := (&auditExportCmd{auditPrints: prints, premises: premises{Data: data}, Out: now, Position: 74}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"events.jsonl", "checkpoint", "ledger.pub"} {
			if files(t, then)[name] != files(t, now)[name] {
				t.Errorf("%s is another today", name)
			}
		}
		witnessed := []string{filepath.Join(then, "checkpoint")}
		if err := (&auditVerifyCmd{auditPrints: prints, Bundle: now, Key: key, Witnessed: witnessed}).Run(t.Context()); err != nil {
			t.Errorf("the bundle of now against the checkpoint of then: %v\n%s", err, prints.Out)
		}
	})
}

// Today's server goes on with the directory: it shows what was, and takes what comes.
func TestYesterdaysServerGoesOn(t *testing.T) {
	yesterdays(t, func(t *testing.T, dir string) {
		data := filepath.Join(dir, "data")
		srv, err := openServer(t.Context(), settings{
			Data: data, Listen: "127.0.0.1:0", URL: "http://127.0.0.1:18999", PlainHTTP: true, Views: "sqlite",
			Identity: []string{"header:X-Ssl-Client-Cert"}, Proxies: []string{"127.0.0.0/8"},
			DeviceCA: []string{filepath.Join(data, "demo-device-ca.pem")}, MaxBody: 8 << 20, LogFormat: "text", LogLevel: "error", Drain: 5 * time.Second,
		}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- srv.run(ctx) }()
		defer func() {
			stop()
			if err := errors.Join(<-ended, srv.close()); err != nil {
				t.Error(err)
			}
		}()
		head, err := srv.house.log.Head(t.Context())
		if err != nil || head <= 74 {
			t.Fatalf("the log ends at %d (%v): whom the server trusts was not told", head, err)
		}
		if err := srv.views.Wait(t.Context(), head); err != nil {
			t.Fatal(err)
		}
		token, err := os.ReadFile(filepath.Join(data, "admin-token"))
		if err != nil {
			t.Fatal(err)
		}
		const q = `{ events(first: 200) { nodes { type summary evidence { bytes whole shown body } } } views { name parked { error } } }`
		body, _ := json.Marshal(map[string]string{"query": q})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+srv.listener.Addr().String()+"/graphql", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s (%v)\n%s", resp.Status, err, answer)
		}
		// The stranger's message was kept before evidence had a form: as its body alone.
		for _, want := range []string{`"evidence":{"body":"eyJhIHN0cmFuZ2VyIjogImtub2NrcyJ9","bytes":24,"shown":[],"whole":true}`, `"type":"trust.authority-trusted"`, `"device.subject-erased"`} {
			if !strings.Contains(string(answer), want) {
				t.Errorf("the server does not show %s", want)
			}
		}
		if strings.Contains(string(answer), `"error":"`) || strings.Contains(string(answer), `"errors"`) {
			t.Errorf("the server shows an error:\n%s", answer)
		}
	})
}

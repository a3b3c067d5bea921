package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// files reads all files of a directory, by name.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The same question up to the same position gives the same bytes, from the directory and from the server, now and
// when the log has grown.
func TestExportFromTheServerIsTheSameByteForByte(t *testing.T) {
	s := simulated(t)
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(filepath.Dir(s.DeviceCA), "data")
	server := remote{Server: s.URL, Token: "@" + filepath.Join(data, "admin-token")}
	device := firstDevice(t, data)
	const at = 60
	exports := func() (all []map[string]string) {
		for _, q := range []auditExportCmd{
			{}, {Device: device}, {From: moment{time.Now().Add(-time.Hour)}.whole(), To: moment{time.Now().Add(time.Hour)}.whole()},
			{Device: device, To: moment{time.Now().Add(time.Hour)}.whole()},
		} {
			q.Position, q.auditPrints = at, auditPrints{Out: &bytes.Buffer{}, JSON: true}
			here, there := q, q
			here.premises, here.Out = premises{Data: data}, filepath.Join(t.TempDir(), "here")
			there.remote, there.Out = server, filepath.Join(t.TempDir(), "there")
			here.auditPrints.Out, there.auditPrints.Out = &bytes.Buffer{}, &bytes.Buffer{}
			for _, c := range []*auditExportCmd{&here, &there} {
				if err := c.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			a, b := files(t, here.Out), files(t, there.Out)
			if len(a) != len(b) || len(a) < 6 {
				t.Errorf("%+v: %d files here, %d there", q, len(a), len(b))
			}
			for name := range a {
				if a[name] != b[name] {
					t.Errorf("%+v: %s differs:\n%.300s\n%.300s", q, name, a[name], b[name])
				}
			}
			var m ledger.Manifest
			if err := json.Unmarshal([]byte(a[ledger.ManifestFile]), &m); err != nil || m.Events != int64(strings.Count(a["events.jsonl"], "\n")) || m.Position != at {
				t.Errorf("the manifest says %+v (%v)", m, err)
			}
			all = append(all, a)
		}
		return all
	}
	before := exports()
	s.Seed = 2
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, after := range exports() {
		for _, name := range []string{"events.jsonl", "checkpoint"} {
			if i != 2 && i != 3 && before[i][name] != after[name] { // whose times are others now
				t.Errorf("question %d: %s is another when the log has grown", i, name)
			}
		}
	}
}

// whole cuts a moment to seconds, as people give it.
func (m moment) whole() moment { return moment{m.Truncate(time.Second)} }

// firstDevice returns the name of some device in the log.
func firstDevice(t *testing.T, data string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "all")
	if err := (&auditExportCmd{auditPrints: auditPrints{Out: &bytes.Buffer{}}, premises: premises{Data: data}, Out: dir}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(files(t, dir)["events.jsonl"], `"kind":"device","stream":"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

// Checkpoint and proof of a server are the ones of its directory.
func TestCheckpointAndProofFromTheServer(t *testing.T) {
	url, data := audited(t)
	var here, there bytes.Buffer
	server := remote{Server: url + "/"}
	public, err := publicKey(filepath.Join(data, ledger.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	for c := (ledger.Checkpoint{}); c.Size < 9; { // the server signs one a second
		there.Reset()
		if err := (&auditCheckpointCmd{auditPrints: auditPrints{Out: &there}, remote: server}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c, err = ledger.OpenCheckpoint(there.Bytes(), public); err != nil {
			t.Fatal(err)
		}
	}
	there.Reset()
	if err := (&auditProveCmd{auditPrints: auditPrints{Out: &there}, remote: server, Position: 9}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := (&auditProveCmd{auditPrints: auditPrints{Out: &here}, premises: premises{Data: data}, Position: 9}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, errA := ledger.ParseProof(here.Bytes())
	b, errB := ledger.ParseProof(there.Bytes())
	if errA != nil || errB != nil || a.Index != b.Index || a.Path[0] != b.Path[0] {
		t.Errorf("the proofs are\n%s\n%s", here.String(), there.String())
	}
	for what, cmd := range map[string]interface{ Run(context.Context) error }{
		"a position that there is not": &auditProveCmd{remote: server, Position: 1 << 40},
		"nobody there":                 &auditCheckpointCmd{remote: remote{Server: "http://127.0.0.1:1"}},
		"no address":                   &auditCheckpointCmd{remote: remote{Server: "::"}},
	} {
		if err := cmd.Run(t.Context()); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// A bundle that breaks off, or was changed on its way, is not taken for good.
func TestABundleThatIsSpoiltOnItsWay(t *testing.T) {
	server, data := audited(t)
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	token := "@" + filepath.Join(data, "admin-token")
	for what, spoil := range map[string]func(http.ResponseWriter, *http.Request){
		"broken off": func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			httputil.NewSingleHostReverseProxy(at).ServeHTTP(rec, r)
			_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		},
		"no bundle": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"a name that leads out": func(w http.ResponseWriter, _ *http.Request) {
			x := ledger.NewZip(w)
			f, _ := x.Create("../evil")
			_, _ = f.Write([]byte("x"))
			_ = x.Close()
		},
		"refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
	} {
		proxy := httptest.NewServer(http.HandlerFunc(spoil))
		dir := filepath.Join(t.TempDir(), "bundle")
		err := (&auditExportCmd{auditPrints: auditPrints{Out: &bytes.Buffer{}}, remote: remote{Server: proxy.URL, Token: token}, Out: dir}).Run(t.Context())
		proxy.Close()
		if err == nil {
			t.Errorf("%s: taken for good", what)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".bundle-*")); len(left) > 0 {
			t.Errorf("%s: left behind %v", what, left)
		}
	}
}

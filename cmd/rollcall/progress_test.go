package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

var perCent = regexp.MustCompile(`\r([a-z, ]+): (?:\d+ of \d+ events \()?(\d+) %`)

// wantProgress wants long work to have told per cents that grow, up to a hundred.
func wantProgress(t *testing.T, what, told string) {
	t.Helper()
	last, steps := -1, 0
	for _, m := range perCent.FindAllStringSubmatch(told, -1) {
		if m[1] != what {
			continue
		}
		n, err := strconv.Atoi(m[2])
		if err != nil || n < last || n > 100 {
			t.Errorf("%s: %d %% come after %d %%", what, n, last)
		}
		last, steps = n, steps+1
	}
	if steps == 0 || last != 100 {
		t.Errorf("%s told %d times how far it was, and %d %% in the end:\n%q", what, steps, last, told)
	}
}

// Over EventStoreDB positions have gaps, and others' events between them: long work tells per cents all the same.
func TestProgressOverEventStoreDB(t *testing.T) {
	defer func(was time.Duration) { progressEvery = was }(progressEvery)
	progressEvery = 0
	store, err := esdbtest.Start(esdbtest.Options{Noise: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir := t.TempDir()
	p := openShared(t, store.URL(), dir)
	for i := range 5 {
		p.enrol(fmt.Sprintf("U%d", i))
	}
	p.close()
	if _, err := ledger.OpenKey(dir, "mdm.example.com/log"); err != nil {
		t.Fatal(err)
	}
	at := storage{Store: store.URL()}
	bundle := filepath.Join(t.TempDir(), "bundle")
	for _, work := range []struct {
		what string
		do   func(out, told *bytes.Buffer) error
	}{
		{"folding the views anew", func(out, told *bytes.Buffer) error {
			return (&viewsRebuildCmd{stopped: stopped{storage: at, Data: dir, Out: out, Err: told}}).Run(t.Context())
		}},
		{"reading the log", func(out, told *bytes.Buffer) error {
			return (&replayCmd{stopped: stopped{storage: at, Data: dir, Out: out, Err: told}}).Run(t.Context())
		}},
		{"reading, opening and folding", func(out, told *bytes.Buffer) error {
			return (&verifyCmd{stopped: stopped{storage: at, Data: dir, Out: out, Err: told}, Most: 20}).Run(t.Context())
		}},
		{"exporting", func(out, told *bytes.Buffer) error {
			return (&auditExportCmd{auditPrints: auditPrints{Out: out, Err: told}, premises: premises{storage: at, Data: dir}, Out: bundle}).Run(t.Context())
		}},
		{"verifying", func(out, told *bytes.Buffer) error {
			return (&auditVerifyCmd{auditPrints: auditPrints{Out: out, Err: told}, Bundle: bundle}).Run(t.Context())
		}},
	} {
		var out, told bytes.Buffer
		if err := work.do(&out, &told); err != nil {
			t.Errorf("%s: %v\n%s", work.what, err, out.String())
		}
		wantProgress(t, work.what, told.String())
	}
}

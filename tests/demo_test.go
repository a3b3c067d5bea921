package tests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A demo is a running `rollcall demo`.
type demo struct {
	t       *testing.T
	process *exec.Cmd
	dir     string // where it may leave temporary files
	out     *bufio.Reader
	said    said // on standard error
	ended   chan error
}

func startDemo(t *testing.T, flags ...string) *demo {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	d.process = exec.Command(program, append([]string{"demo", "--listen", "127.0.0.1:" + port}, flags...)...)
	d.process.Env = append(os.Environ(), "TMPDIR="+d.dir)
	d.process.Stderr = &d.said
	out, in := io.Pipe()
	d.process.Stdout, d.out = in, bufio.NewReader(out)
	if err := d.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := d.process.Wait()
		_ = in.Close()
		d.ended <- err
	}()
	t.Cleanup(func() {
		_ = d.process.Process.Kill()
		_ = out.Close() // whoever still prints is heard no more
		if t.Failed() {
			t.Logf("the demo said:\n%s", d.said.String())
		}
	})
	return d
}

// guide returns what the demo prints, up to its last line.
func (d *demo) guide() string {
	d.t.Helper()
	var text strings.Builder
	for {
		line, err := d.out.ReadString('\n')
		text.WriteString(line)
		if strings.HasPrefix(line, "Ctrl-C") {
			return text.String()
		}
		if err != nil {
			d.t.Fatalf("the demo ended before it had told how to look: %v\n%s", err, text.String())
		}
	}
}

// wantEnd wants the demo to end well and soon, and to leave nothing behind.
func (d *demo) wantEnd() {
	d.t.Helper()
	select {
	case err := <-d.ended:
		if err != nil {
			d.t.Errorf("the demo did not end well: %v", err)
		}
	case <-time.After(patience):
		d.t.Fatal("the demo does not end")
	}
	left, err := os.ReadDir(d.dir)
	if err != nil || len(left) > 0 {
		d.t.Errorf("the demo left %v behind, %v", left, err)
	}
}

func (d *demo) interrupt() {
	d.t.Helper()
	if err := d.process.Process.Signal(os.Interrupt); err != nil {
		d.t.Fatal(err)
	}
}

// An example is what the demo advises to type.
type example struct{ what, url, query string }

var (
	adviceToken = regexp.MustCompile(`(?m)^TOKEN=(\S+)$`)
	advice      = regexp.MustCompile(`(?m)^# (.+)\ncurl -s (\S+) -H "Authorization: Bearer \$TOKEN" -H 'Content-Type: application/json' -d '([^']+)'$`)
)

func examples(t *testing.T, guide string) (token string, all []example) {
	t.Helper()
	found := adviceToken.FindStringSubmatch(guide)
	if found == nil {
		t.Fatalf("the demo names no token:\n%s", guide)
	}
	for _, m := range advice.FindAllStringSubmatch(guide, -1) {
		all = append(all, example{m[1], m[2], m[3]})
	}
	if n := strings.Count(guide, "curl "); len(all) < 5 || len(all) != n {
		t.Fatalf("%d of %d examples can be read:\n%s", len(all), n, guide)
	}
	return found[1], all
}

// TestTheDemosExamplesWork types what the demo advises, while it runs, and ends it as people do. It is the demo that
// `make demo` starts.
func TestTheDemosExamplesWork(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	token, all := examples(t, d.guide())
	for _, e := range all {
		if found := e.ask(t, token); found < 2 {
			t.Errorf("%s: the answer says next to nothing", e.what)
		}
	}
	d.interrupt()
	d.wantEnd()
}

// ask posts the example's query and returns how many values the answer has.
func (e example) ask(t *testing.T, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, strings.NewReader(e.query))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Data, Errors any }
	if err := json.Unmarshal(body, &answer); err != nil || resp.StatusCode != http.StatusOK || answer.Errors != nil || bytes.Contains(body, []byte(`":null}`)) {
		t.Errorf("%s\n%s\nwas answered %d %s", e.what, e.query, resp.StatusCode, body)
	}
	return values(answer.Data)
}

// values counts the values in an answer that are not null.
func values(v any) int {
	n := 0
	switch v := v.(type) {
	case nil:
		return 0
	case map[string]any:
		for _, one := range v {
			n += values(one)
		}
	case []any:
		for _, one := range v {
			n += values(one)
		}
	default:
		return 1
	}
	return n
}

// TestTheDemoOnce plays the history, prints the examples, and ends by itself.
func TestTheDemoOnce(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--once", "--days", "5", "--devices", "10")
	examples(t, d.guide())
	d.wantEnd()
}

// TestTheDemoIsInterruptedAtWork ends the demo while it still plays the past.
func TestTheDemoIsInterruptedAtWork(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "--days", "300")
	until(t, "the demo plays its history", func() bool { return strings.Contains(d.said.String(), "day 3 ") })
	if err := d.process.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	d.wantEnd()
}

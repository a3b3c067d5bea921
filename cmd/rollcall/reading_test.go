package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHistoryIsReadBesideWhoeverWritesIt(t *testing.T) {
	dir := lived(t)
	all := replayed(t, replayCmd{}, dir)
	then := replayed(t, replayCmd{AsOf: moment{morning.AddDate(0, 0, 1)}}, dir)
	p := openPast(t, dir, morning.AddDate(0, 0, 2))
	defer p.close()
	before := listed(t, dir)
	if got := replayed(t, replayCmd{}, dir); got != all {
		t.Errorf("beside a server:\n%s", got)
	}
	if got := replayed(t, replayCmd{AsOf: moment{morning.AddDate(0, 0, 1)}}, dir); got != then {
		t.Errorf("the fleet, beside a server:\n%s", got)
	}
	l := &viewsListCmd{stopped: stopped{Data: dir}}
	if out, err := run(t, &l.stopped, l); err != nil || !strings.Contains(out, "fleet") {
		t.Errorf("%v\n%s", err, out)
	}
	if after := listed(t, dir); after != before {
		t.Errorf("the readers left %s, there were %s", after, before)
	}
}

// listed names the files of a directory, without those that SQLite keeps beside others.
func listed(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "-wal") && !strings.HasSuffix(f.Name(), "-shm") {
			names = append(names, f.Name())
		}
	}
	return strings.Join(names, " ")
}

func TestReplayFollowsWhatAnotherProcessAppends(t *testing.T) {
	dir := lived(t)
	replayed(t, replayCmd{}, dir) // folds the views
	p := openPast(t, dir, morning.AddDate(0, 0, 2))
	defer p.close()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	c := &replayCmd{Follow: true, JSON: true, Last: 1, Type: []string{"device.*"}, stopped: stopped{Data: dir, Out: in, Err: io.Discard}}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx); _ = in.Close() }()
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		text := ""
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			text += string(buf[:n])
			for line, rest, is := strings.Cut(text, "\n"); is; line, rest, is = strings.Cut(text, "\n") {
				lines <- line
				text = rest
			}
			if err != nil {
				return
			}
		}
	}()
	if line := <-lines; !strings.Contains(line, `"position":21`) {
		t.Fatalf("the last one of the past: %s", line)
	}
	p.enrol("U9")
	for _, want := range []string{"device.authenticated", "device.identity-pinned", "device.token-updated"} {
		if line := <-lines; !strings.Contains(line, want) || strings.Contains(line, "CANARYMAGIC") {
			t.Errorf("%s, want %s", line, want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Ctrl-C is no failure: %v", err)
	}
	for line := range lines {
		t.Errorf("more: %s", line)
	}
}

func TestReplayFilters(t *testing.T) {
	dir := lived(t)
	lines := func(c replayCmd) int { return strings.Count(replayed(t, c, dir), "\n") }
	for name, tt := range map[string]struct {
		c    replayCmd
		want int
	}{
		"by a person":            {replayCmd{Actor: "ada"}, 6},
		"by a kind of actor":     {replayCmd{Actor: "token"}, 6},
		"of a kind of streams":   {replayCmd{Kind: []string{"oper*"}}, 0},
		"the first three":        {replayCmd{Limit: 3}, 3},
		"the last three":         {replayCmd{Last: 3}, 3},
		"the last, of some only": {replayCmd{Last: 2, Type: []string{"device.command-queued"}, Device: "U1"}, 2},
		"more than there are":    {replayCmd{Last: 100}, 21},
	} {
		if got := lines(tt.c); got != tt.want {
			t.Errorf("%s: %d lines, want %d", name, got, tt.want)
		}
	}
	if first, last := replayed(t, replayCmd{Limit: 20}, dir), replayed(t, replayCmd{Last: 1}, dir); first+last != replayed(t, replayCmd{}, dir) {
		t.Errorf("first:\n%slast:\n%s", first, last)
	}
	for name, c := range map[string]replayCmd{
		"both ends": {Limit: 1, Last: 1}, "a future that ends": {Follow: true, To: moment{morning}}, "no pattern": {Kind: []string{"["}},
	} {
		c.Data = dir
		if _, err := run(t, &c.stopped, &c); err == nil {
			t.Errorf("%s: it was not refused", name)
		}
	}
}

func TestViewsThatAreGoneOrBehindAreFoldedForWhoeverReads(t *testing.T) {
	dir := lived(t)
	all := replayed(t, replayCmd{}, dir)
	for _, script := range []string{`DELETE FROM timeline WHERE position > 12; UPDATE checkpoints SET version = version - 1`, ""} {
		if script == "" {
			if err := os.Remove(filepath.Join(dir, "views.db")); err != nil {
				t.Fatal(err)
			}
		} else {
			tamper(t, filepath.Join(dir, "views.db"), script)
		}
		if got := replayed(t, replayCmd{}, dir); got != all {
			t.Errorf("after %q:\n%s", script, got)
		}
	}
}

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// tamper changes a database behind everybody's back.
func tamper(t *testing.T, file, script string) {
	t.Helper()
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, script, nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFindsWhatDiffers(t *testing.T) {
	for name, tt := range map[string]struct{ file, script, want string }{
		"a view's row is changed": {"views.db", `UPDATE fleet_spans SET os_version = '9.9' WHERE until IS NULL`, "differ in fleet_spans: only here"},
		"a view's row is missing": {"views.db", `DELETE FROM timeline WHERE position = 5`, "differ in timeline: only there"},
		"a fact is changed":       {"views.db", `UPDATE facts SET value = '"x"' WHERE value = '"18.1"'`, "differ in facts"},
		"sealed bytes are altered": {"log.db", `UPDATE events SET personal = zeroblob(60) WHERE position = 3`,
			"position 3: device.token-updated of device-"},
		"evidence is altered":    {"log.db", `UPDATE events SET evidence = zeroblob(60) WHERE position = 1`, "position 1: device.authenticated of device-"},
		"an event is missing":    {"log.db", `DELETE FROM events WHERE position = 9`, "after position 8 stands position 10"},
		"open data is no JSON":   {"log.db", `UPDATE events SET data = '{' WHERE position = 4`, "position 4"},
		"two events are swapped": {"log.db", `UPDATE events SET version = 99 WHERE position = 2; UPDATE events SET version = 1 WHERE position = 3; UPDATE events SET version = 2 WHERE position = 2`, "should"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lived(t)
			verified(t, dir)
			tamper(t, filepath.Join(dir, tt.file), tt.script)
			c := &verifyCmd{stopped: stopped{Data: dir}, Most: 20}
			out, err := run(t, &c.stopped, c)
			if !errors.Is(err, errUnsound) || !strings.Contains(out, tt.want) {
				t.Errorf("%v\n%s", err, out)
			}
			if left, err := filepath.Glob(filepath.Join(dir, ".verify-*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestViewsAreRebuilt(t *testing.T) {
	dir := lived(t)
	verified(t, dir)
	tamper(t, filepath.Join(dir, "views.db"), `DELETE FROM commands; UPDATE checkpoints SET position = 21`)
	if err := os.WriteFile(filepath.Join(dir, "views.db.1"), []byte("left by a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &viewsRebuildCmd{stopped{Data: dir}}
	if out, err := run(t, &c.stopped, c); err != nil || !strings.Contains(out, "21 events were folded in") {
		t.Fatalf("%v\n%s", err, out)
	}
	verified(t, dir)
	if left, err := filepath.Glob(filepath.Join(dir, "views.db*")); err != nil || len(left) != 2 { // the link and its file
		t.Errorf("left behind: %v, %v", left, err)
	}
	l := &viewsListCmd{stopped{Data: dir}}
	out, err := run(t, &l.stopped, l)
	if err != nil || !strings.Contains(out, "timeline") || strings.Count(out, "21        0       0") != strings.Count(out, "\n")-1 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestABackupIsRestoredByCopying(t *testing.T) {
	dir := lived(t)
	want := replayed(t, replayCmd{JSON: true}, dir)
	p := openPast(t, dir, morning) // somebody writes meanwhile
	to := filepath.Join(t.TempDir(), "backup")
	c := &backupCmd{stopped: stopped{Data: dir}, To: to, WithKeys: true}
	out, err := run(t, &c.stopped, c)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.enrol("U9")
	p.close()
	if got := replayed(t, replayCmd{JSON: true}, to); got != want {
		t.Error("the backup tells another history")
	}
	verified(t, to)
	if _, err := run(t, &c.stopped, c); err == nil || !strings.Contains(err.Error(), "holds a log.db already") {
		t.Errorf("over another backup: %v", err)
	}
}

func TestABackupWithoutKeysOpensNothing(t *testing.T) {
	dir := lived(t)
	to := filepath.Join(t.TempDir(), "backup")
	c := &backupCmd{stopped: stopped{Data: dir}, To: to}
	if out, err := run(t, &c.stopped, c); err != nil || !strings.Contains(out, "opens nothing") {
		t.Fatalf("%v\n%s", err, out)
	}
	if files, err := filepath.Glob(filepath.Join(to, "*")); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	for _, canary := range []string{"CANARY", "Q0FOQVJZ", "192.0.2.77"} {
		if files := sings(t, to, canary); len(files) > 0 {
			t.Errorf("%s is in %v", canary, files)
		}
	}
	v := &verifyCmd{stopped: stopped{Data: to}}
	if _, err := run(t, &v.stopped, v); err == nil || !strings.Contains(err.Error(), "put the keys back") {
		t.Errorf("%v", err)
	}
}

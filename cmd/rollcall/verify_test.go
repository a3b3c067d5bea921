package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
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

// signed signs a checkpoint of all that the log in a directory has, as a server does.
func signed(t *testing.T, dir string) {
	t.Helper()
	key, err := ledger.OpenKey(dir, "mdm.example.com")
	if err != nil {
		t.Fatal(err)
	}
	p := openPast(t, dir, morning)
	defer p.close()
	l := &ledger.Ledger{Tree: p.tree, Key: key, File: filepath.Join(dir, ledger.CheckpointFile)}
	if err := l.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// anotherType gives the event at position 4 a type that this program does not know, in the ledger too: as a newer one
// would have written it.
const anotherType = `INSERT INTO types (name) VALUES ('device.teleported'); UPDATE events SET type = (SELECT id FROM types WHERE name = 'device.teleported') WHERE position = 4`

func TestVerifyFindsWhatDiffers(t *testing.T) {
	for name, tt := range map[string]struct{ file, script, want string }{
		"a view's row is changed": {"views.db", `UPDATE fleet_spans SET os_version = '9.9' WHERE until IS NULL`, "differ in fleet_spans: only here"},
		"a view's row is missing": {"views.db", `DELETE FROM timeline WHERE position = 5`, "differ in timeline: only there"},
		"a fact is changed":       {"views.db", `UPDATE facts SET value = '"x"' WHERE value = '"18.1"'`, "differ in facts"},
		"sealed bytes are altered": {"log.db", `UPDATE events SET personal = zeroblob(60) WHERE position = 3`,
			"position 3: device.token-updated of device-"},
		"a byte is changed that still opens": {"log.db", `UPDATE events SET time = time + 1 WHERE position = 7`, "position 7: the event is not the one whose hash the ledger has"},
		"evidence is altered":                {"log.db", `UPDATE events SET evidence = zeroblob(60) WHERE position = 1`, "position 1: device.authenticated of device-"},
		"an event is missing":                {"log.db", `DELETE FROM events WHERE position = 9`, "after position 8 stands position 10"},
		"the last event is missing":          {"log.db", `DELETE FROM events WHERE position = 21`, "was signed, and the log has 20"},
		"open data is no JSON":               {"log.db", `UPDATE events SET data = '{' WHERE position = 4`, "position 4"},
		"an event is of a type nobody knows": {"log.db", anotherType, `position 4: device.teleported of device-`},
		"two events are swapped":             {"log.db", `UPDATE events SET version = 99 WHERE position = 2; UPDATE events SET version = 1 WHERE position = 3; UPDATE events SET version = 2 WHERE position = 2`, "should"},
		"a hash of the tree is wrong":        {"log.db", `UPDATE hashes SET hashes = CAST(substr(hashes, 1, 64) || zeroblob(32) || substr(hashes, 97) AS BLOB) WHERE block = 0`, "position 2: the ledger's hash of events 1 to 2"},
		"a leaf of the tree is wrong":        {"log.db", `UPDATE hashes SET hashes = CAST(substr(hashes, 1, 96) || zeroblob(32) || substr(hashes, 129) AS BLOB) WHERE block = 0`, "position 3: the event is not the one"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lived(t)
			verified(t, dir)
			signed(t, dir)
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

func TestVerifyFindsACheckpointThatDoesNotFit(t *testing.T) {
	dir, other := lived(t), lived(t)
	signed(t, dir)
	signed(t, other)
	file := filepath.Join(dir, ledger.CheckpointFile)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.OpenKey(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := key.Sign(21, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(filepath.Join(other, ledger.CheckpointFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"of another tree":   {string(elsewhere), "the checkpoint of 21 events has another root"},
		"signed by another": {string(foreign), "cannot be believed"},
		"edited":            {strings.Replace(string(good), "\n21\n", "\n20\n", 1), "cannot be believed"},
	} {
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := &verifyCmd{stopped: stopped{Data: dir}, Most: 20}
		if out, err := run(t, &c.stopped, c); !errors.Is(err, errUnsound) || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestVerifyTellsTheFirstPlaceFirstAndProgramsToo(t *testing.T) {
	dir := lived(t)
	signed(t, dir)
	c := &verifyCmd{stopped: stopped{Data: dir}, Most: 2, JSON: true}
	told := func() (s soundness, err error) {
		out, err := run(t, &c.stopped, c)
		if decodeErr := json.NewDecoder(strings.NewReader(out)).Decode(&s); decodeErr != nil {
			t.Fatalf("%v: %s", decodeErr, out)
		}
		return s, err
	}
	if s, err := told(); err != nil || !s.Good || s.Events != 21 || s.Checkpoint != 21 || len(s.Findings) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	tamper(t, filepath.Join(dir, "views.db"), `DELETE FROM timeline WHERE position = 5`)
	tamper(t, filepath.Join(dir, "log.db"), `UPDATE events SET time = time + 1 WHERE position IN (17, 3)`)
	s, err := told()
	if !errors.Is(err, errUnsound) || s.Good || len(s.Findings) != 2 || s.Findings[0].Position != 3 || s.Findings[1].Position != 17 || s.Untold == 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestViewsAreRebuilt(t *testing.T) {
	dir := lived(t)
	verified(t, dir)
	tamper(t, filepath.Join(dir, "views.db"), `DELETE FROM commands; UPDATE checkpoints SET position = 21`)
	if err := os.WriteFile(filepath.Join(dir, "views.db.1"), []byte("left by a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &viewsRebuildCmd{stopped: stopped{Data: dir}}
	if out, err := run(t, &c.stopped, c); err != nil || !strings.Contains(out, "21 events were folded in") {
		t.Fatalf("%v\n%s", err, out)
	}
	verified(t, dir)
	if left, err := filepath.Glob(filepath.Join(dir, "views.db.*[0-9]")); err != nil || len(left) != 1 { // the file that views.db links to
		t.Errorf("left behind: %v, %v", left, err)
	}
	l := &viewsListCmd{stopped: stopped{Data: dir}}
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

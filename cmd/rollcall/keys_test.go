package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

func erased(t *testing.T, dir, name string) string {
	t.Helper()
	c := &keysEraseCmd{stopped: stopped{Data: dir}, Device: name, Reason: "the person has left"}
	out, err := run(t, &c.stopped, c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func verified(t *testing.T, dir string) {
	t.Helper()
	c := &verifyCmd{stopped: stopped{Data: dir}, Most: 20}
	if out, err := run(t, &c.stopped, c); err != nil || !strings.Contains(out, "agree with the log") {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// sings reports which files of a directory hold a text.
func sings(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, file := range all {
		if b, err := os.ReadFile(file); err != nil || bytes.Contains(b, []byte(text)) {
			files = append(files, filepath.Base(file))
		}
	}
	return files
}

func TestAnErasedSubjectIsGoneEverywhere(t *testing.T) {
	dir := lived(t)
	replayed(t, replayCmd{}, dir) // folds the views
	if files := sings(t, dir, "CANARYSERIALU1"); len(files) == 0 {
		t.Fatal("the canary does not sing")
	}
	out := erased(t, dir, "CANARYSERIALU1")
	if !strings.Contains(out, "is gone") || !strings.Contains(out, "backups of keys.db") {
		t.Errorf("it says %s", out)
	}
	for _, canary := range []string{"CANARYSERIALU1", "CANARYNAME-U1", "CANARYUSER", "CANARYAPP"} {
		if files := sings(t, dir, canary); len(files) > 0 {
			t.Errorf("%s is still in %v", canary, files)
		}
		if all := replayed(t, replayCmd{JSON: true}, dir); strings.Contains(all, canary) {
			t.Errorf("replay shows %s", canary)
		}
	}
	verified(t, dir)
	told := replayed(t, replayCmd{Device: "U1"}, dir)
	if !strings.Contains(told, "command line erased the personal data of device ") || !strings.Contains(told, ": the person has left") {
		t.Errorf("the timeline:\n%s", told)
	}
	if other := replayed(t, replayCmd{Device: "U2", JSON: true}, dir); !strings.Contains(other, "CANARYSERIALU2") {
		t.Errorf("another device lost something:\n%s", other)
	}
	if again := erased(t, dir, "U1"); !strings.Contains(again, "was erased already, on ") {
		t.Errorf("again: %s", again)
	}
	verified(t, dir)
}

func TestAnErasedDeviceMayEnrolAnewAndBeErasedAnew(t *testing.T) {
	dir := lived(t)
	for range 2 {
		erased(t, dir, "U1")
		p := openPast(t, dir, morning.Add(48*time.Hour))
		p.enrol("U1")
		p.ask("U1", "", "DeviceInformation", `{"QueryResponses":{"OSVersion":"19.0"}}`)
		p.close()
		if out := replayed(t, replayCmd{Device: "U1"}, dir); !strings.Contains(out, "CANARYNAME-U1 enrolled") {
			t.Errorf("its new life:\n%s", out)
		}
		verified(t, dir)
	}
	erased(t, dir, "U1")
	if files := sings(t, dir, "CANARYNAME-U1"); len(files) > 0 {
		t.Errorf("left in %v", files)
	}
	verified(t, dir)
}

func TestErasingADeviceThatNobodyKnowsErasesNothing(t *testing.T) {
	dir := lived(t)
	c := &keysEraseCmd{stopped: stopped{Data: dir}, Device: "U7", Reason: "x"}
	if out, err := run(t, &c.stopped, c); err == nil || !strings.Contains(err.Error(), "no device is known") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A crash after the event and before the keys are gone is made up for at the next start; one before the event, forgotten.
func TestAnErasureThatWasCutOffIsFinished(t *testing.T) {
	for _, written := range []bool{true, false} {
		p := openPast(t, lived(t), morning.Add(24*time.Hour))
		id := p.pseudonyms.Device("U1")
		stream := eventstore.Stream{Kind: device.Kind, ID: id}
		if err := p.keys.BeginErasing(t.Context(), seal.Of(stream)); err != nil {
			t.Fatal(err)
		}
		if written {
			if _, err := p.devices.Update(t.Context(), id, eventstore.Meta{}, func(d device.Device, _ time.Time) ([]domain.Event, error) {
				return d.Erase("", "cut off")
			}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.keys.Keys(t.Context(), stream.String()); err != nil {
			t.Fatalf("the keys are gone too soon: %v", err)
		}
		p.close()
		p = openPast(t, p.dir, p.now)
		if _, err := p.keys.Keys(t.Context(), stream.String()); errors.Is(err, seal.ErrDestroyed) != written {
			t.Errorf("event written %t: the keys: %v", written, err)
		}
		if list, err := p.keys.Erasing(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("still under way: %v, %v", list, err)
		}
		p.close()
		verified(t, p.dir)
	}
}

func TestVerifyFindsKeysThatShouldBeGone(t *testing.T) {
	dir := lived(t)
	before, err := os.ReadFile(filepath.Join(dir, "keys.db"))
	if err != nil {
		t.Fatal(err)
	}
	erased(t, dir, "U1")
	if err := os.WriteFile(filepath.Join(dir, "keys.db"), before, 0o600); err != nil { // somebody put an old copy back
		t.Fatal(err)
	}
	c := &verifyCmd{stopped: stopped{Data: dir}, Most: 20}
	if out, err := run(t, &c.stopped, c); !errors.Is(err, errUnsound) || !strings.Contains(out, "its keys are still there") {
		t.Errorf("%v\n%s", err, out)
	}
	erased(t, dir, "U1")
	verified(t, dir)
}

func TestKeysRotate(t *testing.T) {
	dir := lived(t)
	before := replayed(t, replayCmd{JSON: true}, dir)
	old, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	c := &keysRotateCmd{stopped: stopped{Data: dir}}
	if out, err := run(t, &c.stopped, c); err != nil || !strings.Contains(out, "all data keys") {
		t.Fatalf("%v\n%s", err, out)
	}
	if after := replayed(t, replayCmd{JSON: true}, dir); !strings.HasPrefix(after, before) || !strings.Contains(after[len(before):], "masterkey.rotated") {
		t.Error("history reads differently")
	}
	verified(t, dir)
	now, err := os.ReadFile(filepath.Join(dir, "master.key"))
	if err != nil || bytes.Equal(old, now) {
		t.Errorf("the master key is the same: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "master.key"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &replayCmd{stopped: stopped{Data: dir}}
	if _, err := run(t, &r.stopped, r); err == nil {
		t.Error("the old master key still opens it")
	}
}

func TestARotationThatWasCutOffLeavesADirectoryThatOpens(t *testing.T) {
	for _, rewrapped := range []bool{false, true} {
		p := openPast(t, lived(t), morning)
		if err := p.custody.Next(""); err != nil {
			t.Fatal(err)
		}
		next, err := p.custody.OpenNext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if rewrapped {
			if _, err := p.keys.Rotate(context.Background(), next, nil); err != nil {
				t.Fatal(err)
			}
		}
		p.close()
		verified(t, p.dir)
	}
}

func TestALogWithoutItsKeysIsNotServed(t *testing.T) {
	dir := lived(t)
	if err := os.Remove(filepath.Join(dir, "master.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := openHouse(t.Context(), opening{Dir: dir}, time.Now); err == nil || !strings.Contains(err.Error(), "master.key is missing") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "master.key")); err == nil {
		t.Error("a new one was made")
	}
}

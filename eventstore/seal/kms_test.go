package seal_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/eventstore/seal/kmstest"
)

func startKMS(t *testing.T) (*kmstest.KMS, string) {
	t.Helper()
	k := kmstest.New("alias/test", 7)
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	return k, server.URL
}

func openOver(t *testing.T, dir, source string, cached int) *seal.FileKeyring {
	t.Helper()
	master := must[seal.MasterKey](t)(seal.OpenSource(t.Context(), source, true))
	k := must[*seal.FileKeyring](t)(seal.OpenKeyring(filepath.Join(dir, "keys.db"), master, cached))
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// A keyring over a service keeps the same laws.
func TestAKeyringOverAKeyManagementServiceKeepsTheLaws(t *testing.T) {
	for _, l := range keyringLaws {
		t.Run(l.law, func(t *testing.T) {
			_, at := startKMS(t)
			l.test(t, openOver(t, t.TempDir(), at, 0))
		})
	}
}

func TestAServiceThatIsAway(t *testing.T) {
	for what, fault := range map[string]kmstest.Fault{"503": kmstest.Away, "no JSON": kmstest.Garbage} {
		t.Run(what, func(t *testing.T) {
			kms, at := startKMS(t)
			dir := t.TempDir()
			keys := openOver(t, dir, at, 1)
			a := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
			b := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-b")) // the only ones in memory
			kms.Fail(fault)
			if got := must[seal.DataKeys](t)(keys.Keys(t.Context(), "device-b")); got != b {
				t.Error("cached keys are not used")
			}
			for what, ask := range map[string]func() (seal.DataKeys, error){
				"keys that are not in memory": func() (seal.DataKeys, error) { return keys.Keys(t.Context(), "device-a") },
				"a new subject":               func() (seal.DataKeys, error) { return keys.Make(t.Context(), "device-c") },
			} {
				if _, err := ask(); !errors.Is(err, eventstore.ErrUnavailable) {
					t.Errorf("%s: %v, want ErrUnavailable", what, err)
				}
			}
			if _, err := seal.OpenSource(t.Context(), at, true); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), at) {
				t.Errorf("at start: %v", err)
			}
			kms.Fail(kmstest.None)
			if got := must[seal.DataKeys](t)(keys.Keys(t.Context(), "device-a")); got != a {
				t.Error("keys were lost")
			}
			must[seal.DataKeys](t)(keys.Make(t.Context(), "device-c"))
		})
	}
}

// While one subject waits for a service that hangs, others whose keys are in memory go on.
func TestAServiceThatHangsHoldsUpNobodyElse(t *testing.T) {
	kms, at := startKMS(t)
	keys := openOver(t, t.TempDir(), at, 1)
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-b"))
	kms.Fail(kmstest.Hangs)
	ctx, giveUp := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, err := keys.Keys(ctx, "device-a"); err == nil {
			t.Error("a service that hangs answered")
		}
	})
	must[seal.DataKeys](t)(keys.Keys(t.Context(), "device-b"))
	if _, err := keys.Keys(t.Context(), "device-c"); !errors.Is(err, seal.ErrNoKeys) {
		t.Errorf("%v, want ErrNoKeys", err)
	}
	giveUp()
	waiting.Wait()
}

func TestAServiceThatAnswersForAnotherKeyIsNotBelieved(t *testing.T) {
	kms, at := startKMS(t)
	keys := openOver(t, t.TempDir(), at, 1)
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	kms.Fail(kmstest.Other)
	if _, err := keys.Make(t.Context(), "device-b"); err == nil {
		t.Error("keys were wrapped by another key")
	}
}

// Many new subjects are wrapped at the same time, and share the fsync.
func TestManyNewSubjectsOverAService(t *testing.T) {
	_, at := startKMS(t)
	keys := openOver(t, t.TempDir(), at, 0)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if _, err := keys.Make(t.Context(), fmt.Sprint("device-", i%60)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// A program is asked as a service is: here, this test binary plays one.
func TestAProgramStandsForAService(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "kms")
	script := fmt.Sprintf("#!/bin/sh\n[ -e %s/away ] && { echo 'the vault is closed' >&2; exit 3; }\nKMS_PLAYED=1 exec %q -test.run=TestPlayKMS\n", dir, must[string](t)(os.Executable()))
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	keys := openOver(t, dir, "exec:"+program, 1)
	a := must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-b"))
	if got := must[seal.DataKeys](t)(keys.Keys(t.Context(), "device-a")); got != a {
		t.Error("other keys came back")
	}
	if err := os.WriteFile(filepath.Join(dir, "away"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Keys(t.Context(), "device-b"); !errors.Is(err, eventstore.ErrUnavailable) || !strings.Contains(err.Error(), "the vault is closed") {
		t.Errorf("a program that fails: %v", err)
	}
	if _, err := seal.OpenSource(t.Context(), "exec:"+filepath.Join(dir, "nothing"), true); !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// TestPlayKMS is the program of TestAProgramStandsForAService.
func TestPlayKMS(t *testing.T) {
	if os.Getenv("KMS_PLAYED") == "" {
		return
	}
	question := make([]byte, 64<<10)
	n, _ := os.Stdin.Read(question)
	fmt.Printf("%s", kmstest.New("alias/program", 3).Answer(question[:n]))
	os.Exit(0)
}

func TestTheMasterKeyLeavesTheEnvironment(t *testing.T) {
	t.Setenv("A_MASTER_KEY", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")
	one := must[seal.MasterKey](t)(seal.OpenSource(t.Context(), "env:A_MASTER_KEY", true))
	if _, there := os.LookupEnv("A_MASTER_KEY"); there {
		t.Error("it is still in the environment")
	}
	if two := must[seal.MasterKey](t)(seal.OpenSource(t.Context(), "env:A_MASTER_KEY", true)); one.ID() != two.ID() {
		t.Error("another key the second time")
	}
	for source, says := range map[string]string{
		"env:NO_MASTER_KEY": "set NO_MASTER_KEY", "ftp://x": "none of file:", "http://kms.example.com/": "must be https://",
		"https://u:p@kms.example.com/": "without a user",
	} {
		if _, err := seal.OpenSource(t.Context(), source, true); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", source, err, says)
		}
	}
}

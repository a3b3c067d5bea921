package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// A keeping says who keeps the keys.
type keeping struct {
	Keys      string `default:"file" placeholder:"WHERE" help:"Where data keys are: file (keys.db in the data directory), or postgres://USER:PASSWORD@HOST/DATABASE, where servers that share a log share them (better in ROLLCALL_KEYS than on the command line)."`
	MasterKey string `name:"master-key" env:"ROLLCALL_MASTER_KEY_FROM" placeholder:"WHERE" help:"Where the master key is: file:PATH, env:NAME (32 bytes in base64), exec:PROGRAM or https://… (a key management service). If not set: where the last rotation put it, else master.key in the data directory, or where that is missing ROLLCALL_MASTER_KEY in the environment."`
}

func (k keeping) custody(dir string) seal.Custody { return seal.Custody{Dir: dir, Source: k.MasterKey} }

// openKeys opens the master key, and the keyring that it unwraps.
func (h *house) openKeys(ctx context.Context, k keeping) error {
	h.custody = k.custody(h.dir)
	if k.shared() {
		return h.openSharedKeys(ctx, k)
	}
	file := h.path("keys.db")
	master, err := h.custody.Open(ctx, file)
	if errors.Is(err, seal.ErrNoMasterKey) {
		err = fmt.Errorf("%w: put the one back that belongs to %s, nothing opens it without", err, file)
	}
	if err != nil {
		return err
	}
	keys, err := seal.OpenKeyring(file, master, 0)
	if err == nil {
		h.keys = keys
	}
	return err
}

// keyFiles are those files of a data directory without which its log opens nothing.
func (k keeping) keyFiles(dir string) []string {
	if k.shared() {
		return nil // the keyring says what is missing
	}
	files := []string{"index.key", "keys.db"}
	from, err := k.custody(dir).From()
	if err != nil || from == "file:"+filepath.Join(dir, "master.key") {
		files = append(files, "master.key")
	}
	return files
}

// missingKey returns the first of them that is not there.
func (k keeping) missingKey(dir string) string {
	for _, file := range k.keyFiles(dir) {
		if _, err := os.Stat(filepath.Join(dir, file)); errors.Is(err, fs.ErrNotExist) {
			if file == "master.key" && k.masterOnItsWay(dir) {
				continue
			}
			return file
		}
	}
	return ""
}

// masterOnItsWay reports whether a rotation was cut off: its end settles which master key it is.
func (k keeping) masterOnItsWay(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "master-key.from.next"))
	return err == nil
}

// sourceKind is the kind of a source, which tells nothing about where exactly the key is.
func sourceKind(source string) string {
	kind, _, _ := strings.Cut(source, ":")
	return kind
}

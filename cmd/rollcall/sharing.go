package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/lease"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// A sharing is what servers on one log share beside it: their keyring, and the small files that make a data directory one of this
// log. The keyring keeps those, sealed; each server has them in its directory too.
type sharing struct {
	dir     string
	keys    *seal.SharedKeyring
	lease   lease.Lease
	release func()        // lets other servers start; nil if they may
	roots   chan struct{} // told when another root issues
}

// What the keyring keeps besides files: which log it belongs to, and that its administrator has a token.
const (
	keptLog   = "log"
	keptToken = "admin-token"
)

var errOtherLog = errors.New("the keys that --keys names belong to another log than the one that --store names: each log has a PostgreSQL schema of its own (postgres://…?search_path=NAME)")

// sharedFile matches the files that all servers on a log have: what names devices, what signs, and the roots.
var sharedFile = regexp.MustCompile(`^(index\.key|ledger\.(key|pub)|profile-signer\.(pem|key)|device-ca(-[0-9a-f]+)?\.(pem|key))$`)

// begin makes sure that the keys are those of the log, and puts the shared files in the directory.
func (s *sharing) begin(ctx context.Context, log eventstore.Log, elsewhere bool) error {
	kept, err := s.keys.Kept(ctx)
	if err != nil {
		return err
	}
	first, err := firstEvent(ctx, log)
	if err != nil {
		return err
	}
	if of, known := kept[keptLog]; elsewhere && known && string(of) != first {
		return errOtherLog
	}
	if err := s.place(kept); err != nil {
		return err
	}
	if first == "" || kept["index.key"] != nil {
		return nil
	}
	return fmt.Errorf("the log has events, but the keyring that --keys names has nothing of it: name the right one, or move keys.db there first (rollcall keys move)")
}

// firstEvent names a log by its first event; it is empty if the log is.
func firstEvent(ctx context.Context, log eventstore.Log) (string, error) {
	for env, err := range log.ReadAll(ctx, 0) {
		if err != nil {
			return "", fmt.Errorf("read the log's first event: %w", err)
		}
		return env.ID.String(), nil
	}
	return "", nil
}

// pull puts the shared files in the directory.
func (s *sharing) pull(ctx context.Context) error {
	kept, err := s.keys.Kept(ctx)
	if err != nil {
		return err
	}
	return s.place(kept)
}

// place writes shared files that are missing. A key is written before its certificate, which says that both are there.
func (s *sharing) place(kept map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		if !sharedFile.MatchString(name) {
			continue
		}
		here, err := os.ReadFile(filepath.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			err = writeWhole(filepath.Join(s.dir, name), kept[name])
			here = kept[name]
		}
		if err != nil {
			return fmt.Errorf("share %s: %w", name, err)
		}
		if !bytes.Equal(here, kept[name]) {
			return fmt.Errorf("%s in %s is another than that of the servers on this log: move it away, and start again with theirs", name, s.dir)
		}
	}
	return nil
}

// push has the keyring keep the shared files of the directory that it does not keep yet.
func (s *sharing) push(ctx context.Context) error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("share files: %w", err)
	}
	known, err := s.keys.Kept(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !sharedFile.MatchString(f.Name()) || known[f.Name()] != nil {
			continue
		}
		content, err := os.ReadFile(filepath.Join(s.dir, f.Name()))
		if err != nil {
			return fmt.Errorf("share %s: %w", f.Name(), err)
		}
		kept, err := s.keys.Keep(ctx, f.Name(), content)
		if err != nil {
			return err
		}
		if err := s.place(map[string][]byte{f.Name(): kept}); err != nil {
			return err
		}
	}
	return nil
}

// alone does something by which shared files may be made, while no other server does.
func (s *sharing) alone(ctx context.Context, do func() error) error {
	if s.release == nil {
		release, err := s.lease.Lock(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	if err := s.pull(ctx); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return s.push(ctx)
}

// leave lets other servers start.
func (s *sharing) leave() {
	if s.release != nil {
		s.release()
		s.release = nil
	}
}

// share ends a start: other servers have what was made in it, and may start.
func (h *house) share(ctx context.Context) error {
	if h.shares == nil {
		return nil
	}
	defer h.shares.leave()
	if err := h.shares.push(ctx); err != nil {
		return err
	}
	first, err := firstEvent(ctx, h.log)
	if err != nil || first == "" || !h.shared {
		return err
	}
	of, err := h.shares.keys.Keep(ctx, keptLog, []byte(first))
	if err == nil && string(of) != first {
		err = errOtherLog
	}
	return err
}

// alone does something by which shared files may be made.
func (h *house) alone(ctx context.Context, do func() error) error {
	if h.shares == nil {
		return do()
	}
	return h.shares.alone(ctx, do)
}

// hasToken reports whether another server on this log has made the administrator's token.
func (h *house) hasToken(ctx context.Context) (bool, error) {
	if h.shares == nil {
		return false, nil
	}
	kept, err := h.shares.keys.Kept(ctx)
	return kept[keptToken] != nil, err
}

// tellToken tells the others that there is one.
func (h *house) tellToken(ctx context.Context) error {
	if h.shares == nil {
		return nil
	}
	_, err := h.shares.keys.Keep(ctx, keptToken, []byte("made"))
	return err
}

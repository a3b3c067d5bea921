package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Custody says where the master key of a data directory is. The file master-key.from names its source, if it is
// another than the file master.key or, where that is missing, the environment's ROLLCALL_MASTER_KEY; while a rotation is under way master-key.from.next names the next one.
type Custody struct {
	Dir    string
	Source string // overrules the file; empty if nobody said
}

func (c Custody) path(name string) string { return filepath.Join(c.Dir, name) }

// MasterFile is where the master key is if nobody says otherwise.
func (c Custody) MasterFile() string { return c.path("master.key") }

func (c Custody) fromFile() string { return c.path("master-key.from") }
func (c Custody) nextFile() string { return c.path("master-key.from.next") }

// From returns the source of the master key of now.
func (c Custody) From() (string, error) {
	if c.Source != "" {
		return c.Source, nil
	}
	source, err := readSource(c.fromFile())
	if err != nil || source != "" {
		return source, err
	}
	if _, err := os.Stat(c.MasterFile()); errors.Is(err, fs.ErrNotExist) && taken(MasterVariable) != "" {
		return "env:" + MasterVariable, nil
	}
	return "file:" + c.MasterFile(), nil
}

func readSource(file string) (string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// Open opens the master key for the keyring's file, and ends a rotation that was cut off: of the two master keys, the
// one that opens the file stays. A key is made only for a keyring that has none yet.
func (c Custody) Open(ctx context.Context, keyring string) (MasterKey, error) {
	id, err := MasterOf(keyring)
	if err != nil {
		return nil, fmt.Errorf("look at the keyring %s: %w", keyring, err)
	}
	return c.OpenFor(ctx, id)
}

// OpenFor does what Open does for a keyring of which it is known which master key opens it; empty if it has none yet.
func (c Custody) OpenFor(ctx context.Context, id string) (MasterKey, error) {
	source, err := c.From()
	if err != nil {
		return nil, fmt.Errorf("look where the master key is: %w", err)
	}
	next, err := readSource(c.nextFile())
	if err != nil || next == "" || id == "" {
		key, openErr := OpenSource(ctx, source, id == "")
		return key, errors.Join(err, openErr)
	}
	return c.settle(ctx, id, source, next)
}

func (c Custody) settle(ctx context.Context, id, source, next string) (MasterKey, error) {
	old, oldErr := OpenSource(ctx, source, false)
	if oldErr == nil && old.ID() == id {
		return old, c.drop(next)
	}
	key, err := OpenSource(ctx, next, false)
	if err == nil && key.ID() == id {
		return key, c.Settle()
	}
	return nil, errors.Join(fmt.Errorf("a rotation of the master key was cut off, and neither key of the two opens the keyring, which is wrapped by %s", id), oldErr, err)
}

// Find opens the master key with an id: the one of now, or the next one, if a rotation is about to put it in its place.
// It makes nothing, and settles nothing: that is for whoever writes the keyring.
func (c Custody) Find(ctx context.Context, id string) (MasterKey, error) {
	now, err := c.From()
	next, nextErr := readSource(c.nextFile())
	if err := errors.Join(err, nextErr); err != nil {
		return nil, err
	}
	for _, source := range []string{now, next} {
		if source == "" {
			continue
		}
		key, openErr := OpenSource(ctx, source, false)
		if openErr == nil && key.ID() == id {
			return key, nil
		}
		if !errors.Is(openErr, ErrNoMasterKey) {
			err = errors.Join(err, openErr)
		}
	}
	return nil, errors.Join(fmt.Errorf("the data keys are wrapped by the master key %s, which is not here: put the right master.key back", id), err)
}

// Follow opens the master key to which another server has changed a keyring that they share: the one of now, if it was put in its
// place; the next one, if that is noted; or that in the file beside which waits for its name, and gets it.
func (c Custody) Follow(ctx context.Context, id string) (MasterKey, error) {
	now, err := c.From()
	if err != nil {
		return nil, err
	}
	key, err := OpenSource(ctx, now, false)
	if err == nil && key.ID() == id {
		return key, nil
	}
	next, noteErr := readSource(c.nextFile())
	if noteErr != nil {
		return nil, errors.Join(err, noteErr)
	}
	if next == "" && strings.HasPrefix(now, "file:") {
		next = now + ".next"
	}
	if next != "" {
		key, nextErr := OpenSource(ctx, next, false)
		if nextErr == nil && key.ID() == id {
			return key, c.take(now, next)
		}
		if !errors.Is(nextErr, ErrNoMasterKey) {
			err = errors.Join(err, nextErr)
		}
	}
	return nil, errors.Join(fmt.Errorf("the data keys are wrapped by the master key %s, which is not here: put it in the place of the one from %s", id, now), err)
}

// take makes the next master key the one of now.
func (c Custody) take(now, next string) error {
	if noted, err := readSource(c.nextFile()); err != nil || noted != "" {
		return errors.Join(err, c.Settle())
	}
	if err := os.Rename(strings.TrimPrefix(next, "file:"), strings.TrimPrefix(now, "file:")); err != nil {
		return err
	}
	return syncDir(filepath.Dir(strings.TrimPrefix(now, "file:")))
}

// Next notes where the next master key is. Without a source it is a file beside the one of now. It fails if another
// one is noted already.
func (c Custody) Next(source string) error {
	if source == "" {
		now, err := c.From()
		if err != nil {
			return err
		}
		file, is := strings.CutPrefix(now, "file:")
		if !is {
			return fmt.Errorf("the master key comes from %s: say with --to where the next one comes from", now)
		}
		source = "file:" + file + ".next"
	}
	if kind, rest, _ := strings.Cut(source, ":"); rest == "" || !slices.Contains(kinds, kind) {
		return fmt.Errorf("%s: %w", source, errNoSource)
	}
	err := writeSource(c.nextFile(), source)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("the master key is being changed already: %s is there", c.nextFile())
	}
	return err
}

// OpenNext opens the master key that Next has noted. A file is made if it is missing.
func (c Custody) OpenNext(ctx context.Context) (MasterKey, error) {
	source, err := readSource(c.nextFile())
	if err != nil {
		return nil, err
	}
	if source == "" {
		return nil, errors.New("no next master key is noted: rollcall keys rotate does that")
	}
	return OpenSource(ctx, source, true)
}

// Settle makes the next master key the one of now. A file beside the old one's takes its name.
func (c Custody) Settle() error {
	next, err := readSource(c.nextFile())
	if err != nil || next == "" {
		return err
	}
	now, err := c.From()
	if err != nil {
		return err
	}
	if beside(now, next) {
		err = os.Rename(strings.TrimPrefix(next, "file:"), strings.TrimPrefix(now, "file:"))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil // it has its name already, and only the note was left
		}
		return errors.Join(err, c.gone(c.nextFile()))
	}
	return errors.Join(os.Rename(c.nextFile(), c.fromFile()), syncDir(c.Dir))
}

// beside reports whether next is the file that waits for now's name.
func beside(now, next string) bool {
	return strings.HasPrefix(now, "file:") && next == now+".next"
}

// Leave forgets the next master key.
func (c Custody) Leave() error {
	next, err := readSource(c.nextFile())
	if err != nil || next == "" {
		return err
	}
	return c.drop(next)
}

func (c Custody) drop(next string) error {
	now, err := c.From()
	if err == nil && beside(now, next) {
		err = c.gone(strings.TrimPrefix(next, "file:"))
	}
	return errors.Join(err, c.gone(c.nextFile()))
}

func (c Custody) gone(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(file))
}

// writeSource writes a note, whole and durable before it has its name, which nothing else may have.
func writeSource(file, source string) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".from-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = fmt.Fprintln(f, source)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

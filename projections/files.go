package projections

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The views are known by one name, views.db, say. Once they have been rebuilt, that is a link to the file of the edition
// that is served: views.db.1, and so on. SQLite names the companions of a file by the file itself, so that whoever opens
// the views never meets the write-ahead log of another edition, and one rename puts one edition in the place of another.

// linked returns the file that is known by a name: itself, or what it links to.
func linked(path string) (string, error) {
	to, err := os.Readlink(path)
	switch {
	case err == nil:
		return filepath.Join(filepath.Dir(path), filepath.Base(to)), nil
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL): // nothing yet, or a file
		return path, nil
	}
	return "", err
}

// resolve is linked for whoever makes what is missing: a link to a file that somebody has removed is removed too.
func resolve(path string) (string, error) {
	file, err := linked(path)
	if err != nil || file == path {
		return path, err
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return path, os.Remove(path)
	}
	return file, nil
}

// editions lists the numbered files beside a path.
func editions(path string) (numbers map[string]int, err error) {
	found, err := filepath.Glob(escaped(path) + ".*")
	numbers = map[string]int{}
	for _, file := range found {
		name, _, _ := strings.Cut(strings.TrimPrefix(file, path+"."), "-") // its companions have the same number
		if n, err := strconv.Atoi(name); err == nil && n > 0 {
			numbers[path+"."+name] = n
		}
	}
	return numbers, err
}

// escaped is a path in which nothing means anything to Glob.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// nextFile returns the name of the next edition's file.
func nextFile(path string) (string, error) {
	numbers, err := editions(path)
	highest := 0
	for _, n := range numbers {
		highest = max(highest, n)
	}
	return fmt.Sprintf("%s.%d", path, highest+1), err
}

// sweep removes what a rebuild left that did not come to its end, and the edition before one that did.
func sweep(path, served string) error {
	numbers, err := editions(path)
	if err != nil {
		return err
	}
	for file := range numbers {
		if file != served {
			err = errors.Join(err, Remove(file))
		}
	}
	if served != path {
		err = errors.Join(err, removeAll(companions(path)...))
	}
	return errors.Join(err, removeAll(path+".link"))
}

// link has the path name a file, in one step that is durable.
func link(path, file string) error {
	beside := path + ".link"
	if err := removeAll(beside); err != nil {
		return err
	}
	if err := errors.Join(os.Symlink(filepath.Base(file), beside), os.Rename(beside, path)); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Remove deletes the views at path, if there are any: whoever opens them again folds them anew. The file goes before
// its companions: whoever still finds it has found all of it.
func Remove(path string) error {
	file, err := resolve(path)
	if err != nil {
		return err
	}
	return removeAll(append([]string{path, file}, companions(file)...)...)
}

// companions are the files that SQLite may keep beside one.
func companions(file string) []string {
	return []string{file + "-journal", file + "-wal", file + "-shm"}
}

func removeAll(files ...string) error {
	for _, file := range files {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

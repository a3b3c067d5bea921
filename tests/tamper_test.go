package tests

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// The words of stories about somebody who tampers.
func init() {
	for name, do := range map[string]func(*story, io.Writer, []string) error{
		"history": (*story).history, "finds": (*story).finds, "tamper": (*story).tamper,
		"line": (*story).editLine, "drop": (*story).dropLine, "swap": (*story).swapLines, "flip": (*story).flip, "resum": (*story).resum,
	} {
		commands[name] = word(do)
	}
}

// history plays a short one, of two devices that sign what they send and one order, ends the server, and exports all
// of it to `bundle`; the log's public key is in `ledger.pub` then.
func (s *story) history(out io.Writer, _ []string) error {
	steps := []func() error{
		func() error { return s.serve(out, nil) },
		func() error { return s.enrols(out, "U1") },
		func() error { return s.enrols(out, "U2") },
		func() error { return s.connect(out, []string{"-by", "signature", "U1", "Idle"}) },
		func() error {
			text, err := os.ReadFile(filepath.Join(s.dir, "data", "ledger.pub"))
			return errors.Join(err, os.WriteFile(filepath.Join(s.dir, "ledger.pub"), text, 0o600))
		},
		func() error { return s.endServer(out, nil) },
		func() error { return s.run(out, 0, "audit", "export", "--data", "data", "--out", "bundle") },
		func() error {
			return s.run(out, 0, "audit", "verify", "bundle", "--key", "ledger.pub", "--keys", "data")
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) enrols(out io.Writer, udid string) error {
	return errors.Join(
		s.checkin(out, []string{"-by", "signature", udid, "Authenticate", "Topic=com.apple.mgmt.test", "SerialNumber=S" + udid, "OSVersion=18.1", "ProductName=iPhone15,2"}),
		s.checkin(out, []string{"-by", "signature", udid, "TokenUpdate", "Topic=com.apple.mgmt.test", "Token@=token", "PushMagic=magic"}),
	)
}

// run runs the program in the story's directory and wants this exit status.
func (s *story) run(out io.Writer, status int, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = s.dir, out, out, s.environment()
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == status {
		return nil
	}
	if err == nil && status != 0 {
		return fmt.Errorf("rollcall %s ended well; want exit status %d", strings.Join(args, " "), status)
	}
	return err
}

// finds REGEXP ARGS… runs the program, which must end with exit status 1 and say what matches.
func (s *story) finds(out io.Writer, args []string) error {
	var said bytes.Buffer
	err := s.run(io.MultiWriter(out, &said), 1, args[1:]...)
	if want := regexp.MustCompile("(?m)" + args[0]); err == nil && !want.Match(said.Bytes()) {
		err = fmt.Errorf("it did not say %q, but:\n%s", args[0], said.String())
	}
	return err
}

// tamper FILE SQL changes a database behind everybody's back; it must change something.
func (s *story) tamper(_ io.Writer, args []string) error {
	conn, err := sqlite.OpenConn(filepath.Join(s.dir, args[0]), sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	err = sqlitex.ExecuteScript(conn, args[1], nil)
	if err == nil && conn.Changes() == 0 {
		err = errors.New("nothing was changed")
	}
	return errors.Join(err, conn.Close())
}

// edit changes the lines of a file; the change must change something.
func (s *story) edit(name string, change func(lines []string) []string) error {
	file := filepath.Join(s.dir, name)
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	after := strings.Join(change(strings.SplitAfter(string(before), "\n")), "")
	if after == string(before) {
		return fmt.Errorf("%s was not changed", name)
	}
	return os.WriteFile(file, []byte(after), 0o600)
}

func number(text string) int {
	n, _ := strconv.Atoi(text) // 0 is no line: the edit fails
	return n
}

// line FILE N OLD NEW replaces a text in line N.
func (s *story) editLine(_ io.Writer, args []string) error {
	return s.edit(args[0], func(l []string) []string {
		n := number(args[1]) - 1
		l[n] = strings.Replace(l[n], args[2], args[3], 1)
		return l
	})
}

// drop FILE N takes line N out, or the `last`.
func (s *story) dropLine(_ io.Writer, args []string) error {
	return s.edit(args[0], func(l []string) []string {
		n := number(args[1]) - 1
		if args[1] == "last" {
			n = len(l) - 2 // behind the last line's end stands nothing
		}
		return append(l[:n:n], l[n+1:]...)
	})
}

// swap FILE A B exchanges two lines.
func (s *story) swapLines(_ io.Writer, args []string) error {
	return s.edit(args[0], func(l []string) []string {
		a, b := number(args[1])-1, number(args[2])-1
		l[a], l[b] = l[b], l[a]
		return l
	})
}

// flip FILE BYTE changes one bit of a byte, counted from 0.
func (s *story) flip(_ io.Writer, args []string) error {
	found, err := filepath.Glob(filepath.Join(s.dir, args[0]))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s names %d files (%w)", args[0], len(found), err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		return err
	}
	text[number(args[1])] ^= 1
	return os.WriteFile(found[0], text, 0o600)
}

// resum DIR makes the sums of a bundle fit again, as whoever tampers would.
func (s *story) resum(_ io.Writer, args []string) error {
	root := os.DirFS(filepath.Join(s.dir, args[0]))
	var text strings.Builder
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "SHA256SUMS" {
			return err
		}
		b, err := fs.ReadFile(root, name)
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(b), name)
		return err
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, args[0], "SHA256SUMS"), []byte(text.String()), 0o600)
}

package tests

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// smallProgram says to the process inside where the program is.
const smallProgram = "ROLLCALL_TEST_PROGRAM"

// TestASmallDiskThatIsFull fills a real, small disk under the whole data directory, or under the log, the views or the
// keys alone, while devices enrol and answer. Whoever cannot be served is told to come again; nothing that was acknowledged is lost,
// no file is damaged, the same server goes on when there is space, and every checkpoint still holds.
//
// It plays in a process with a mount namespace of its own. Where the kernel allows none, it says so.
func TestASmallDiskThatIsFull(t *testing.T) {
	t.Parallel()
	if os.Getenv(insideEnv) != "" {
		program = os.Getenv(smallProgram)
		for _, what := range []string{"everything", "log.db", "views.db", "keys.db"} {
			t.Run(what, func(t *testing.T) { fillSmallDisk(t, what) })
		}
		return
	}
	if err := apart("/bin/true").Run(); err != nil {
		t.Logf("no mount namespace could be made (%v): a full disk was NOT tested here, only files that may not grow", err)
		return
	}
	inside := apart(os.Args[0], "-test.run=^TestASmallDiskThatIsFull$", "-test.v")
	inside.Env = append(os.Environ(), insideEnv+"=1", smallProgram+"="+program)
	if out, err := inside.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestASmallDiskThatIsFull/keys.db") {
		t.Errorf("%v\n%s", err, out)
	}
}

// apart returns a command in a user and mount namespace of its own.
func apart(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return cmd
}

// A small is a host whose data, or some of it, stands on a small disk.
type small struct {
	*host
	mount string
}

func fillSmallDisk(t *testing.T, what string) {
	s := &small{host: newHost(t), mount: t.TempDir()}
	if err := syscall.Mount("none", s.mount, "tmpfs", 0, "size=64m"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Unmount(s.mount, syscall.MNT_DETACH) }()
	s.moveIn(what)
	witness := s.witnessed()
	s.start()
	l := s.live(what)
	s.stop()
	v := s.open()
	defer v.log.Close()
	v.wantEnded(l.done)
	v.wantProven(witness, 1)
	if !strings.Contains(s.said.String(), "level=ERROR") {
		t.Error("nobody was told that the disk is full")
	}
}

// fill leaves no space on the disk; free gives it back.
func (s *small) fill() {
	s.t.Helper()
	f, err := os.Create(filepath.Join(s.mount, "filler"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, n := range []int{64 << 10, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, n))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			s.t.Fatal(err)
		}
	}
	_ = f.Close()
}

func (s *small) free() {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.mount, "filler")); err != nil {
		s.t.Fatal(err)
	}
}

// moveIn puts the data directory, or one of its databases, on the small disk.
func (s *small) moveIn(what string) {
	s.t.Helper()
	if what == "everything" {
		s.data = filepath.Join(s.mount, "data")
		return
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(s.mount, what), filepath.Join(s.data, what)); err != nil {
		s.t.Fatal(err)
	}
}

// A squeeze is what was acknowledged before, on and after a full disk.
type squeeze struct {
	*small
	wire mdmtest.Wire
	done map[string]bool // commands that were taken
}

// live has devices enrol and answer before the disk is full, while it is, and after.
func (s *small) live(what string) *squeeze {
	s.t.Helper()
	l := &squeeze{s, &mdmtest.Direct{}, map[string]bool{}}
	devices := s.fleet(mdmtest.Fleet{Size: 60, Seed: 9})
	known, fresh := devices[:3], devices[3:]
	for _, d := range known {
		if err := d.Enrol(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		l.order(d)
	}
	until(s.t, "the views catch up", func() bool { return s.caughtUp(l.wire) })
	s.fill()
	refused := 0
	until(s.t, "somebody notices that the disk is full", func() bool {
		for _, d := range known {
			l.order(d)
			if _, err := d.Session(s.t.Context()); err != nil {
				wantUnavailable(s.t, d, err)
				refused++
			}
		}
		for _, d := range fresh { // each needs keys of its own
			if err := d.Authenticate(s.t.Context()); err != nil {
				wantUnavailable(s.t, nil, err)
				refused++
			}
		}
		return strings.Contains(s.said.String(), "level=ERROR")
	})
	if what != "views.db" && refused == 0 {
		s.t.Error("the disk was full, and everybody was served")
	}
	s.free()
	for _, d := range fresh {
		if err := d.Enrol(s.t.Context()); err != nil {
			s.t.Errorf("there is space again: %v", err)
		}
	}
	for _, d := range devices {
		if !l.order(d) {
			s.t.Error("there is space again, and a command was not taken")
		}
		if _, err := d.Session(s.t.Context()); err != nil {
			s.t.Errorf("there is space again: %v", err)
		}
	}
	until(s.t, "the views catch up", func() bool { return s.caughtUp(l.wire) })
	return l
}

// order gives a device a command, and reports whether it was taken.
func (l *squeeze) order(d *mdmtest.Device) bool {
	l.t.Helper()
	uuid := mdmtest.NewUUID()
	err := enqueue(l.t, l.wire, l.url(), l.token(), d.ID(), uuid)
	if err == nil {
		l.done[uuid] = true
	}
	return err == nil
}

// Package tests plays stories against the built program, which they know only by its doors, and keeps the floor
// plan.
package tests

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rollcall-mdm/rollcall/eventstore/seal/pgtest"
)

// program is the built binary that the stories are played against.
var program string

// insideEnv says to a process of this test binary that another has started it, in a namespace of its own.
const insideEnv = "ROLLCALL_TEST_INSIDE"

// TestMain builds the program. Twice as many tests are played at once as there are processors: most of a story is waiting
// for a disk, a clock or a program that starts.
func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	if os.Getenv(insideEnv) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "rollcall-stories-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "rollcall")
	cmd := exec.Command("go", "build", "-o", program, "../cmd/rollcall")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer pgtest.End()
	return m.Run()
}

// TestStories plays every story. The commands of a story stand in story_test.go.
func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/stories",
		Setup:               begin,
		Condition:           here,
		Cmds:                commands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

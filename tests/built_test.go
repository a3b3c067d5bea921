package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// largestFile is the most that a file of the project may have, in bytes. Whatever is larger was built, not written.
const largestFile = 1 << 20

// TestFloorHoldsNothingBuilt wants no program, archive or data set among the project's files: history never forgets one.
func TestFloorHoldsNothingBuilt(t *testing.T) {
	list, err := exec.Command("git", "-C", "..", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("git cannot list the project's files here: nothing was looked at (%v)", err)
	}
	for name := range strings.SplitSeq(string(list), "\x00") {
		info, err := os.Stat(filepath.Join("..", name))
		if err == nil && !info.IsDir() && info.Size() > largestFile {
			t.Errorf("%s has %d bytes: take it out of the very commit that added it (git rebase -i, git rm --cached)", name, info.Size())
		}
	}
}

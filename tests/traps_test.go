package tests

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryTrapHasItsTest wants each test and story that docs/traps.md names to be there.
func TestEveryTrapHasItsTest(t *testing.T) {
	page, err := os.ReadFile("../docs/traps.md")
	if err != nil {
		t.Fatal(err)
	}
	there := everyTest(t)
	named := regexp.MustCompile("`(Test\\w+|\\w+\\.txtar)`").FindAllSubmatch(page, -1)
	if len(named) < 50 {
		t.Fatalf("the page names %d tests", len(named))
	}
	for _, m := range named {
		name := string(m[1])
		if _, err := os.Stat(filepath.Join("testdata/stories", name)); !there[name] && err != nil {
			t.Errorf("docs/traps.md names %s, which is not there", name)
		}
	}
}

// everyTest returns the names of all test functions of the project.
func everyTest(t *testing.T) map[string]bool {
	t.Helper()
	all, declared := map[string]bool{}, regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			all[string(bytes.Clone(m[1]))] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

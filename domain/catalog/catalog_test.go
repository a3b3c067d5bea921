package catalog_test

import (
	"regexp"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/catalog"
)

func TestStoredNamesAreUniqueAndWellFormed(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+\.[a-z]+(-[a-z]+)*$`)
	seen := map[string]bool{}
	for _, e := range catalog.Events() {
		name := e.EventType()
		if !form.MatchString(name) {
			t.Errorf("%T is called %q: want kind.what-happened in lower case", e, name)
		}
		if seen[name] {
			t.Errorf("two events are called %q", name)
		}
		seen[name] = true
	}
	if len(seen) == 0 {
		t.Fatal("the catalogue is empty")
	}
}

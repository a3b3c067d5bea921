package projections

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestViewsAreReadBesideTheOneWhoWritesThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "views.db")
	if _, err := OpenReadOnly(t.Context(), path, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no views: %v", err)
	}
	h := newHistory()
	v := openAt(t, path)
	first := h.add("d1", noon, authenticated(1), token(true))
	follow(t, v, h)
	reader, err := OpenReadOnly(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if at, err := reader.Standing(t.Context()); err != nil || at != first || reader.Moved() {
		t.Errorf("at %d, %v", at, err)
	}
	second := h.add("d2", noon, authenticated(1))
	follow(t, v, h)
	if _, found, err := reader.Device(t.Context(), "d2", Now); err != nil || !found {
		t.Errorf("what was written since is not seen: %v, %v", found, err)
	}
	if err := v.Rebuild(t.Context(), h, inClear{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, found, err := reader.Device(t.Context(), "d2", Now); err != nil || !found || !reader.Moved() {
		t.Errorf("after a rebuild: %v, %v, moved %v", found, err, reader.Moved())
	}
	again, err := OpenReadOnly(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if at, err := again.Standing(t.Context()); err != nil || at != second || again.Moved() {
		t.Errorf("at %d, %v", at, err)
	}
	for what, err := range map[string]error{
		"run": again.Run(t.Context(), h, inClear{}), "catch up": again.CatchUp(t.Context(), h, inClear{}, nil), "compact": again.Compact(t.Context()),
	} {
		if err == nil {
			t.Errorf("%s: they were written", what)
		}
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestViewsOfAnotherVersionAreNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "views.db")
	if err := openRenewed(t, path, renewed("fleet", 7, 7)).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(t.Context(), path, Options{}); !errors.Is(err, ErrBuilding) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(context.Background(), path, Options{}); !errors.Is(err, ErrBuilding) {
		t.Errorf("an empty file: %v", err)
	}
}

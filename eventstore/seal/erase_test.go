package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

func TestAStreamThatWasErasedGoesOnWithOtherKeys(t *testing.T) {
	for name, open := range map[string]func(*testing.T) seal.Keyring{
		"memory": func(*testing.T) seal.Keyring { return &seal.MemoryKeyring{} },
		"file":   func(t *testing.T) seal.Keyring { return openKeyring(t, t.TempDir()) },
	} {
		t.Run(name, func(t *testing.T) {
			keys := open(t)
			codec := newCodec(keys)
			old := envelope()
			old.Version = 3
			old = full(t, codec, old)
			if err := keys.Erase(t.Context(), seal.Of(old.Stream), 5); err != nil {
				t.Fatal(err)
			}
			e, err := codec.Decode(old)
			if err != nil || len(e.(device.TokenUpdated).Token) != 0 || len(e.(device.TokenUpdated).UnlockToken) != 0 {
				t.Errorf("an erased event opens as %+v, %v", e, err)
			}
			if _, err := codec.PartKey(old, seal.Personal); !errors.Is(err, seal.ErrAbsent) {
				t.Errorf("its key: %v, want ErrAbsent", err)
			}
			late := envelope()
			late.Version = 5
			late.Evidence = []byte("evidence")
			if _, err := codec.Encode(late, device.TokenUpdated{PushMagic: "m"}); !errors.Is(err, seal.ErrDestroyed) {
				t.Errorf("something more was sealed for it: %v", err)
			}
			next := envelope()
			next.Version = 6
			if err := opens(codec, full(t, codec, next)); err != nil {
				t.Errorf("what came after it does not open: %v", err)
			}
		})
	}
}

func TestAnErasureOutlivesTheProcessAndLeavesNoBytes(t *testing.T) {
	dir := t.TempDir()
	keys := openKeyring(t, dir)
	stream := seal.Of(eventstore.Stream{Kind: "device", ID: "a"})
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	wrapped := rawKeys(t, dir, "device-a")
	if err := errors.Join(keys.BeginErasing(t.Context(), stream), keys.Close()); err != nil {
		t.Fatal(err)
	}
	keys = openKeyring(t, dir)
	if list := must[[]seal.Subject](t)(keys.Erasing(t.Context())); len(list) != 1 || list[0] != stream {
		t.Errorf("under way: %v", list)
	}
	if err := errors.Join(keys.Erase(t.Context(), stream, 4), keys.Close()); err != nil {
		t.Fatal(err)
	}
	keys = openKeyring(t, dir)
	if list := must[[]seal.Subject](t)(keys.Erasing(t.Context())); len(list) != 0 || keys.Epoch(stream, 5) != 1 {
		t.Errorf("after it was done: %v under way, epoch %d", list, keys.Epoch(stream, 5))
	}
	files, err := filepath.Glob(filepath.Join(dir, "keys.db*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if text := must[[]byte](t)(os.ReadFile(file)); bytes.Contains(text, wrapped) {
			t.Errorf("%s still holds the keys", file)
		}
	}
}

func TestAnErasureThatIsLeftIsForgotten(t *testing.T) {
	keys := openKeyring(t, t.TempDir())
	stream := seal.Of(eventstore.Stream{Kind: "device", ID: "a"})
	must[seal.DataKeys](t)(keys.Make(t.Context(), "device-a"))
	if err := errors.Join(keys.BeginErasing(t.Context(), stream), keys.LeaveErasing(t.Context(), stream)); err != nil {
		t.Fatal(err)
	}
	if list := must[[]seal.Subject](t)(keys.Erasing(t.Context())); len(list) != 0 {
		t.Errorf("under way: %v", list)
	}
	must[seal.DataKeys](t)(keys.Keys(t.Context(), "device-a"))
}

// rawKeys returns the wrapped keys of a subject as the file has them.
func rawKeys(t *testing.T, dir, subject string) []byte {
	t.Helper()
	conn := must[*sqlite.Conn](t)(sqlite.OpenConn(filepath.Join(dir, "keys.db"), sqlite.OpenReadWrite))
	defer conn.Close()
	var wrapped []byte
	err := sqlitex.Execute(conn, "SELECT wrapped FROM keys WHERE subject = ?", &sqlitex.ExecOptions{
		Args: []any{subject},
		ResultFunc: func(row *sqlite.Stmt) error {
			wrapped = make([]byte, row.ColumnLen(0))
			row.ColumnBytes(0, wrapped)
			return nil
		},
	})
	if err != nil || len(wrapped) == 0 {
		t.Fatalf("the keys of %s: %d bytes, %v", subject, len(wrapped), err)
	}
	return wrapped
}

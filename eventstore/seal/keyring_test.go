package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/eventstore/seal/pgtest"
)

func masterKey(t testing.TB, dir string) *seal.LocalKey {
	return must[*seal.LocalKey](t)(seal.OpenMasterKey(filepath.Join(dir, "master.key")))
}

func openKeyring(t testing.TB, dir string) *seal.FileKeyring {
	k := must[*seal.FileKeyring](t)(seal.OpenKeyring(filepath.Join(dir, "keys.db"), masterKey(t, dir), 0))
	t.Cleanup(func() { _ = k.Close() })
	return k
}

var keyringLaws = []struct {
	law  string
	test func(*testing.T, seal.Keyring)
}{
	{"keys that were never made are not there", func(t *testing.T, k seal.Keyring) {
		if _, err := k.Keys(t.Context(), "device-a"); !errors.Is(err, seal.ErrNoKeys) {
			t.Errorf("Keys: %v, want ErrNoKeys", err)
		}
	}},
	{"a subject's keys are made once, and are its own", func(t *testing.T, k seal.Keyring) {
		seen := map[seal.DataKeys]string{}
		for _, subject := range []string{"device-a", "device-a/u", "device-A", "device-a\x00b", "device-a\x00c", "device-ü", ""} {
			made := must[seal.DataKeys](t)(k.Make(t.Context(), subject))
			again := must[seal.DataKeys](t)(k.Make(t.Context(), subject))
			found := must[seal.DataKeys](t)(k.Keys(t.Context(), subject))
			if made != again || made != found {
				t.Errorf("%q has several keys", subject)
			}
			if other, ok := seen[made]; ok {
				t.Errorf("%q has the keys of %q", subject, other)
			}
			seen[made] = subject
		}
	}},
	{"what is destroyed stays destroyed", func(t *testing.T, k seal.Keyring) {
		must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
		must[seal.DataKeys](t)(k.Make(t.Context(), "device-b"))
		for _, subject := range []string{"device-a", "device-a", "never-made"} {
			if err := k.Destroy(t.Context(), subject); err != nil {
				t.Fatal(err)
			}
			if _, err := k.Keys(t.Context(), subject); !errors.Is(err, seal.ErrDestroyed) {
				t.Errorf("Keys of %s: %v, want ErrDestroyed", subject, err)
			}
			if _, err := k.Make(t.Context(), subject); !errors.Is(err, seal.ErrDestroyed) {
				t.Errorf("Make for %s: %v, want ErrDestroyed", subject, err)
			}
		}
		must[seal.DataKeys](t)(k.Keys(t.Context(), "device-b"))
	}},
	{"a user who is erased loses his keys alone, and gets others for what comes later", func(t *testing.T, k seal.Keyring) {
		stream := eventstore.Stream{Kind: "device", ID: "a"}
		u := seal.Subject{Stream: stream, Within: "u"}
		for _, subject := range []string{"device-a", "device-a/u", "device-a/uu"} {
			must[seal.DataKeys](t)(k.Make(t.Context(), subject))
		}
		for range 2 { // twice is fine
			if err := k.Erase(t.Context(), u, 7); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := k.Keys(t.Context(), "device-a/u"); !errors.Is(err, seal.ErrDestroyed) {
			t.Errorf("the user's keys: %v, want ErrDestroyed", err)
		}
		for _, subject := range []string{"device-a", "device-a/uu"} {
			must[seal.DataKeys](t)(k.Keys(t.Context(), subject))
		}
		if k.Epoch(u, 7) != 0 || k.Epoch(u, 8) != 1 || k.Epoch(seal.Of(stream), 8) != 0 {
			t.Errorf("epochs %d, %d, %d", k.Epoch(u, 7), k.Epoch(u, 8), k.Epoch(seal.Of(stream), 8))
		}
		must[seal.DataKeys](t)(k.Make(t.Context(), "device-a/u#1"))
		if err := k.Erase(t.Context(), seal.Of(stream), 9); err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{"device-a", "device-a/uu", "device-a/u#1"} {
			if _, err := k.Keys(t.Context(), subject); !errors.Is(err, seal.ErrDestroyed) {
				t.Errorf("%s after the stream was erased: %v, want ErrDestroyed", subject, err)
			}
		}
	}},
	{"a stream that is erased loses all its keys and those of its users, and gets others for what comes later", func(t *testing.T, k seal.Keyring) {
		a := seal.Of(eventstore.Stream{Kind: "device", ID: "a"})
		for _, subject := range []string{"device-a", "device-a/u", "device-ab", "device-a-", "device-b/device-a"} {
			must[seal.DataKeys](t)(k.Make(t.Context(), subject))
		}
		for range 2 { // twice is fine
			if err := k.Erase(t.Context(), a, 7); err != nil {
				t.Fatal(err)
			}
		}
		for subject, want := range map[string]error{
			"device-a": seal.ErrDestroyed, "device-a/u": seal.ErrDestroyed, "device-ab": nil, "device-a-": nil, "device-b/device-a": nil,
		} {
			if _, err := k.Keys(t.Context(), subject); !errors.Is(err, want) {
				t.Errorf("Keys of %s: %v, want %v", subject, err, want)
			}
		}
		if err := k.Erase(t.Context(), a, 20); err != nil {
			t.Fatal(err)
		}
		for version, want := range map[int64]int{0: 0, 7: 0, 8: 1, 20: 1, 21: 2} {
			if got := k.Epoch(a, version); got != want {
				t.Errorf("version %d is of epoch %d, want %d", version, got, want)
			}
		}
		if k.Epoch(seal.Of(eventstore.Stream{Kind: "device", ID: "ab"}), 100) != 0 {
			t.Error("another stream was erased too")
		}
	}},
	{"64 at once, each gets the one set of keys", func(t *testing.T, k seal.Keyring) {
		const subjects, each = 16, 4
		got := make([]seal.DataKeys, subjects*each)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				keys, err := k.Make(t.Context(), fmt.Sprintf("device-%d", i%subjects))
				if err != nil {
					t.Error(err)
				}
				got[i] = keys
			})
		}
		wg.Wait()
		distinct := map[seal.DataKeys]bool{}
		for i, keys := range got {
			distinct[keys] = true
			if keys != got[i%subjects] {
				t.Errorf("device-%d has two sets of keys", i%subjects)
			}
		}
		if len(distinct) != subjects {
			t.Errorf("%d subjects have %d sets of keys", subjects, len(distinct))
		}
	}},
	{"keys do not print", func(t *testing.T, k seal.Keyring) {
		keys := must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(verb, keys); len(s) > 40 {
				t.Errorf("%s prints %s", verb, s)
			}
		}
	}},
}

func TestKeyringLaws(t *testing.T) {
	for _, l := range keyringLaws {
		t.Run("memory/"+l.law, func(t *testing.T) { l.test(t, &seal.MemoryKeyring{}) })
		t.Run("file/"+l.law, func(t *testing.T) { l.test(t, openKeyring(t, t.TempDir())) })
	}
	for _, l := range keyringLaws { // for two servers that are asked in turns
		t.Run("shared/"+l.law, func(t *testing.T) {
			url := pgtest.URL(t)
			l.test(t, &alternating{both: [2]*seal.SharedKeyring{listening(t, url, localKey(1)), listening(t, url, localKey(1))}})
		})
	}
}

func TestKeysSurvive(t *testing.T) {
	dir := t.TempDir()
	k := openKeyring(t, dir)
	made := must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
	if err := k.Destroy(t.Context(), "device-b"); err != nil {
		t.Fatal(err)
	}
	// The files as a crash at this moment would leave them: nothing was closed.
	crashed := t.TempDir()
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(crashed, "master.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	after := openKeyring(t, crashed)
	if found := must[seal.DataKeys](t)(after.Keys(t.Context(), "device-a")); found != made {
		t.Error("the keys are others than those that were made")
	}
	if again := must[seal.DataKeys](t)(after.Make(t.Context(), "device-a")); again != made {
		t.Error("keys without an event were made anew")
	}
	if _, err := after.Keys(t.Context(), "device-b"); !errors.Is(err, seal.ErrDestroyed) {
		t.Errorf("Keys: %v, want ErrDestroyed", err)
	}
}

func TestAFullCacheForgetsNothing(t *testing.T) {
	dir := t.TempDir()
	k := must[*seal.FileKeyring](t)(seal.OpenKeyring(filepath.Join(dir, "keys.db"), masterKey(t, dir), 2))
	defer k.Close()
	var made []seal.DataKeys
	for i := range 5 {
		made = append(made, must[seal.DataKeys](t)(k.Make(t.Context(), fmt.Sprint(i))))
	}
	for i, want := range made {
		if got := must[seal.DataKeys](t)(k.Keys(t.Context(), fmt.Sprint(i))); got != want {
			t.Errorf("subject %d has other keys now", i)
		}
	}
}

func TestTwoProcessesMakeTheSameKeys(t *testing.T) {
	dir := t.TempDir()
	one, two := openKeyring(t, dir), openKeyring(t, dir)
	var wg sync.WaitGroup
	var got [2][20]seal.DataKeys
	for p, k := range []*seal.FileKeyring{one, two} {
		wg.Go(func() {
			for i := range got[p] {
				keys, err := k.Make(t.Context(), fmt.Sprint(i))
				if err != nil {
					t.Error(err)
				}
				got[p][i] = keys
			}
		})
	}
	wg.Wait()
	if got[0] != got[1] {
		t.Error("the two made different keys for one subject")
	}
}

func TestAnotherMasterKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	right := masterKey(t, dir)
	k := openKeyring(t, dir)
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	wrong := seal.NewLocalKey([32]byte{1})
	_, err := seal.OpenKeyring(filepath.Join(dir, "keys.db"), wrong, 0)
	if err == nil || !strings.Contains(err.Error(), right.ID()) || !strings.Contains(err.Error(), wrong.ID()) {
		t.Errorf("a wrong master key: %v", err)
	}
	if _, err := seal.OpenKeyring(filepath.Join(dir, "keys.db"), impostor{wrong, right.ID()}, 0); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("a master key that bears the right name: %v, want ErrBroken", err)
	}
}

// An impostor is a master key under the name of another.
type impostor struct {
	seal.MasterKey
	id string
}

func (i impostor) ID() string { return i.id }

func TestKeysOfOneSubjectAreNoUseForAnother(t *testing.T) {
	dir := t.TempDir()
	k := openKeyring(t, dir)
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-b"))
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	sql(t, dir, `UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE subject = 'device-a')`)
	k = openKeyring(t, dir)
	must[seal.DataKeys](t)(k.Keys(t.Context(), "device-a"))
	if _, err := k.Keys(t.Context(), "device-b"); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("Keys: %v, want ErrBroken", err)
	}
	if _, err := k.Make(t.Context(), "device-b"); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("Make: %v, want ErrBroken", err)
	}
}

func sql(t *testing.T, dir, query string) (blob []byte) {
	conn := must[*sqlite.Conn](t)(sqlite.OpenConn(filepath.Join(dir, "keys.db"), sqlite.OpenReadWrite))
	defer conn.Close()
	err := sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error {
		blob = make([]byte, row.ColumnLen(0))
		row.ColumnBytes(0, blob)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

func TestDestroyedKeysLeaveNoTrace(t *testing.T) {
	dir := t.TempDir()
	k := openKeyring(t, dir)
	for i := range 50 {
		must[seal.DataKeys](t)(k.Make(t.Context(), fmt.Sprint("device-", i)))
	}
	wrapped := sql(t, dir, `SELECT wrapped FROM keys WHERE subject = 'device-7'`)
	if !found(t, dir, wrapped) {
		t.Fatal("the test does not find keys that are there")
	}
	if err := k.Destroy(t.Context(), "device-7"); err != nil {
		t.Fatal(err)
	}
	if found(t, dir, wrapped) {
		t.Error("the destroyed keys are still in a file")
	}
}

// found reports whether any file in the directory holds the bytes, or a piece of them.
func found(t *testing.T, dir string, want []byte) bool {
	for _, path := range must[[]string](t)(filepath.Glob(filepath.Join(dir, "*"))) {
		b := must[[]byte](t)(os.ReadFile(path))
		if bytes.Contains(b, want) || bytes.Contains(b, want[len(want)/2:]) {
			return true
		}
	}
	return false
}

func TestTheKeyringsFilesAreTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	k := openKeyring(t, dir)
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
	for _, path := range must[[]string](t)(filepath.Glob(filepath.Join(dir, "*"))) {
		if info := must[os.FileInfo](t)(os.Stat(path)); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
}

func TestAClosedKeyring(t *testing.T) {
	k := openKeyring(t, t.TempDir())
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-a"))
	if err := errors.Join(k.Close(), k.Close()); err != nil {
		t.Fatal(err)
	}
	_, err := k.Keys(t.Context(), "device-a")
	_, err2 := k.Make(t.Context(), "device-b")
	for _, err := range []error{err, err2, k.Destroy(t.Context(), "device-a")} {
		if !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("%v, want ErrClosed", err)
		}
	}
}

// A slowMaster wraps keys only when it is let go on.
type slowMaster struct {
	*seal.LocalKey
	begun chan struct{}
	goOn  chan struct{}
}

func (m slowMaster) Wrap(ctx context.Context, subject string, plain []byte) ([]byte, error) {
	if strings.HasPrefix(subject, "device") {
		m.begun <- struct{}{}
		<-m.goOn
	}
	return m.LocalKey.Wrap(ctx, subject, plain)
}

func TestWhoNoLongerWaitsForKeysLeavesTheOthersTheirs(t *testing.T) {
	dir := t.TempDir()
	master := slowMaster{masterKey(t, dir), make(chan struct{}, 9), make(chan struct{})}
	k := must[*seal.FileKeyring](t)(seal.OpenKeyring(filepath.Join(dir, "keys.db"), master, 0))
	defer k.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := k.Make(t.Context(), "device-a"); err != nil {
			t.Error(err)
		}
	})
	<-master.begun
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Make(over, "device-b"); !errors.Is(err, context.Canceled) {
		t.Errorf("Make: %v, want context.Canceled", err)
	}
	if err := k.Destroy(over, "device-b"); !errors.Is(err, context.Canceled) {
		t.Errorf("Destroy: %v, want context.Canceled", err)
	}
	close(master.goOn)
	wg.Wait()
	must[seal.DataKeys](t)(k.Keys(t.Context(), "device-a"))
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-b"))
}

// A failingMaster cannot wrap the keys of one subject.
type failingMaster struct{ *seal.LocalKey }

var errNoService = errors.New("the key service does not answer")

func (m failingMaster) Wrap(ctx context.Context, subject string, plain []byte) ([]byte, error) {
	if subject == "device-bad" {
		return nil, errNoService
	}
	return m.LocalKey.Wrap(ctx, subject, plain)
}

func TestKeysThatCouldNotBeMadeAreNotThere(t *testing.T) {
	dir := t.TempDir()
	k := must[*seal.FileKeyring](t)(seal.OpenKeyring(filepath.Join(dir, "keys.db"), failingMaster{masterKey(t, dir)}, 0))
	defer k.Close()
	if _, err := k.Make(t.Context(), "device-bad"); !errors.Is(err, errNoService) {
		t.Errorf("Make: %v", err)
	}
	if _, err := k.Keys(t.Context(), "device-bad"); !errors.Is(err, seal.ErrNoKeys) {
		t.Errorf("Keys: %v, want ErrNoKeys", err)
	}
	must[seal.DataKeys](t)(k.Make(t.Context(), "device-good"))
}

func TestAFileThatIsNoKeyring(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.OpenKeyring(path, masterKey(t, dir), 0); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is no database: %v", err)
	}
	if _, err := seal.OpenKeyring(filepath.Join(dir, "no", "keys.db"), masterKey(t, dir), 0); err == nil {
		t.Error("a directory that is not there")
	}
}

func TestSQLiteHasNoKnownWayToLoseAWAL(t *testing.T) {
	dir := t.TempDir()
	openKeyring(t, dir)
	if v := string(sql(t, dir, "SELECT sqlite_version()")); version(v) < version("3.51.3") {
		t.Errorf("SQLite is %s: before 3.51.3 a reset of its write-ahead log could corrupt the file", v)
	}
}

func version(s string) int {
	var a, b, c int
	_, _ = fmt.Sscanf(s, "%d.%d.%d", &a, &b, &c)
	return a*1_000_000 + b*1_000 + c
}

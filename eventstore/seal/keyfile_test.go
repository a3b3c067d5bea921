package seal_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

func TestAKeyFileIsMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	var ids sync.Map
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			key, err := seal.OpenMasterKey(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids.Store(key.ID(), true)
		})
	}
	wg.Wait()
	n := 0
	ids.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("16 who opened it at once have %d keys", n)
	}
	if info := must[os.FileInfo](t)(os.Stat(path)); info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	if left := must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(path))); len(left) != 1 {
		t.Errorf("beside it were left %v", left)
	}
}

func TestBadKeyFiles(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 32))
	tests := []struct {
		name, text string
		mode       os.FileMode
		says       string
	}{
		{"readable for the group", good, 0o640, "chmod 600"},
		{"readable for the world", good, 0o604, "chmod 600"},
		{"empty", "", 0o600, "32 bytes in base64"},
		{"too short", good[:20], 0o600, "32 bytes in base64"},
		{"too long", base64.StdEncoding.EncodeToString(make([]byte, 33)), 0o600, "32 bytes in base64"},
		{"no base64", "geheim geheim geheim geheim geheim geheim!!", 0o600, "32 bytes in base64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "k")
			if err := errors.Join(os.WriteFile(path, []byte(tt.text), tt.mode), os.Chmod(path, tt.mode)); err != nil {
				t.Fatal(err)
			}
			_, err := seal.OpenMasterKey(path)
			_, err2 := seal.OpenPseudonyms(path)
			for _, err := range []error{err, err2} {
				if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "geheim") {
					t.Errorf("%v, want it to say %q", err, tt.says)
				}
			}
		})
	}
	if _, err := seal.OpenMasterKey(filepath.Join(t.TempDir(), "no", "k")); err == nil {
		t.Error("a directory that is not there")
	}
}

func TestAMasterKeyFromText(t *testing.T) {
	text := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	key := must[*seal.LocalKey](t)(seal.ParseMasterKey(text + "\n"))
	if same := seal.NewLocalKey([32]byte([]byte("0123456789abcdef0123456789abcdef"))); same.ID() != key.ID() {
		t.Error("the same key has two names")
	}
	if _, err := seal.ParseMasterKey("geheim"); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("bad text: %v", err)
	}
	if s := fmt.Sprintf("%v %+v %#v", key, key, key); strings.Contains(s, "0123") || strings.Contains(s, "48 49") {
		t.Errorf("the key prints as %s", s)
	}
	wrapped := must[[]byte](t)(key.Wrap(t.Context(), "a", []byte("x")))
	if _, err := key.Unwrap(t.Context(), "b", wrapped); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("unwrapped for another subject: %v", err)
	}
}

func TestPseudonyms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.key")
	p := must[seal.Pseudonyms](t)(seal.OpenPseudonyms(path))
	again := must[seal.Pseudonyms](t)(seal.OpenPseudonyms(path))
	other := seal.NewPseudonyms([32]byte{1})
	form := regexp.MustCompile(`^[a-z2-7]{32}$`)
	if s := fmt.Sprintf("%v %+v %#v", other, other, other); len(s) > 60 {
		t.Errorf("the key prints as %s", s)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		if !form.MatchString(p.Device(a)) || !form.MatchString(p.Channel(a, b)) {
			t.Fatalf("%q and %q are no pseudonyms", p.Device(a), p.Channel(a, b))
		}
		if p.Device(a) != again.Device(a) || p.Channel(a, b) != again.Channel(a, b) {
			t.Fatal("after a restart the pseudonyms are others")
		}
		names := map[string]bool{p.Device(a): true, p.Channel(a, b): true, p.Channel(a+b, ""): true, p.Device(a + b): true, other.Device(a): true}
		want := 5
		if b == "" { // two pairs are the same words then
			want = 3
		}
		if len(names) != want {
			t.Fatalf("%d different names have %d pseudonyms", want, len(names))
		}
	})
}

func TestPseudonymsNeverChange(t *testing.T) {
	p := seal.NewPseudonyms([32]byte([]byte("0123456789abcdef0123456789abcdef")))
	if got := p.Device("00008030-0011223344556677"); got != goldenDevice {
		t.Errorf("the device is called %s now: every stream would be lost", got)
	}
	if got := p.Channel("00008030-0011223344556677", "ada"); got != goldenChannel {
		t.Errorf("the channel is called %s now: every user would be lost", got)
	}
}

// A mark of a content stands where everybody may read it. It follows from the key, so that no list of contents finds it.
func TestStamps(t *testing.T) {
	p, other := seal.NewPseudonyms([32]byte([]byte("0123456789abcdef0123456789abcdef"))), seal.NewPseudonyms([32]byte{1})
	if got := p.Stamp("declaration", "wifi"); got != goldenStamp {
		t.Errorf("the stamp is %s now: every device would be given every declaration anew", got)
	}
	seen := map[string]bool{}
	for _, mark := range []string{
		p.Stamp(), p.Stamp("a"), p.Stamp("a", ""), p.Stamp("", "a"), p.Stamp("a", "b"), p.Stamp("ab"), other.Stamp("ab"),
	} {
		if len(mark) != 64 || seen[mark] {
			t.Errorf("%s is no stamp, or not the only one of its kind", mark)
		}
		seen[mark] = true
	}
}

const (
	goldenStamp   = "47586f844ef76808a11371911044936b076efc1841588effc670631084fbdb6a"
	goldenDevice  = "wryelhbogtmejkt2apm3jemf4gmbgxcm"
	goldenChannel = "qcgdc4m56auz3n6vz62u3gsastmhi7s6"
)

func TestBlobs(t *testing.T) {
	keys := &seal.MemoryKeyring{}
	blobs := seal.Blobs{Keys: keys}
	stream, other := eventstore.Stream{Kind: "device", ID: "a"}, eventstore.Stream{Kind: "device", ID: "b"}
	plain := []byte(strings.Repeat("a snapshot, ", 100))
	sealed := must[[]byte](t)(blobs.SealBlob(stream, plain))
	must[[]byte](t)(blobs.SealBlob(other, plain))
	if got := must[[]byte](t)(blobs.OpenBlob(stream, sealed)); string(got) != string(plain) {
		t.Errorf("it came back as %q", got)
	}
	if len(sealed) > len(plain)/2 {
		t.Errorf("%d bytes of a repeated sentence are %d sealed", len(plain), len(sealed))
	}
	if _, err := blobs.OpenBlob(other, sealed); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("opened for another stream: %v", err)
	}
	for i := range sealed {
		sealed[i] ^= 1
		if _, err := blobs.OpenBlob(stream, sealed); !errors.Is(err, seal.ErrBroken) {
			t.Errorf("byte %d altered: %v", i, err)
		}
		if _, err := blobs.OpenBlob(stream, sealed[:i]); !errors.Is(err, seal.ErrBroken) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
		sealed[i] ^= 1
	}
	if err := keys.Destroy(t.Context(), stream.String()); err != nil {
		t.Fatal(err)
	}
	if _, err := blobs.OpenBlob(stream, sealed); !errors.Is(err, seal.ErrAbsent) {
		t.Errorf("opened after the keys were destroyed: %v", err)
	}
	if _, err := blobs.SealBlob(stream, plain); !errors.Is(err, seal.ErrDestroyed) {
		t.Errorf("sealed after the keys were destroyed: %v", err)
	}
}

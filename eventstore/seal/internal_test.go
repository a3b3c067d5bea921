package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestPartKeyIsHKDF(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := [keySize]byte(rapid.SliceOfN(rapid.Byte(), keySize, keySize).Draw(t, "data key"))
		event := eventstore.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "event"))
		part := rapid.SampledFrom([]Part{Personal, Secret, Evidence, blobPart}).Draw(t, "part")
		want, err := hkdf.Expand(sha256.New, data[:], string(event[:])+string(part), keySize)
		if got := partKey(&data, event, part); err != nil || !bytes.Equal(got[:], want) {
			t.Fatalf("the key is %x, want %x, %v", got, want, err)
		}
	})
}

func TestPackShrinksAndComesBack(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789"), 400)
	if n := len(pack(long)); n > 300 {
		t.Errorf("4,000 bytes of nothing new were packed into %d", n)
	}
	if n := len(pack(long[:worthPacking])); n != 1+worthPacking {
		t.Errorf("what is short was packed into %d bytes", n)
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "plain")
		for _, part := range []Part{Personal, Secret, Evidence} {
			got, err := unpack(packPart(part, plain))
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("the %s part came back as %x, %v", part, got, err)
			}
		}
	})
}

func TestNothingUnpacksBeyondTheBound(t *testing.T) {
	if _, err := unpack(pack(make([]byte, maxUnpacked+1))); err == nil {
		t.Error("more than the bound was unpacked")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 1})
	f.Add(pack([]byte("short")))
	f.Add(pack(bytes.Repeat([]byte("long "), 200)))
	f.Fuzz(func(t *testing.T, packed []byte) {
		plain, err := unpack(packed)
		if err == nil && len(plain) > maxUnpacked {
			t.Errorf("%d bytes were unpacked", len(plain))
		}
	})
}

func TestTheCacheKeepsItsBound(t *testing.T) {
	c := newKeyCache(2)
	for _, subject := range []string{"a", "b", "a", "c"} {
		c.put(subject, NewDataKeys())
	}
	for subject, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if _, got := c.get(subject); got != want {
			t.Errorf("the cache has %s: %v", subject, got)
		}
	}
	c.drop("a")
	c.drop("a")
	if _, got := c.get("a"); got || c.order.Len() != 1 {
		t.Error("a dropped subject is still there")
	}
}

package evidence_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/evidence"
)

// What is kept is read back, whatever it is made of.
func TestKeptAndReadAgain(t *testing.T) {
	for name, m := range map[string]evidence.Message{
		"nothing":             {Body: []byte{}},
		"a signed message":    {[]string{"signature"}, []byte{0x30, 0, 1}, "MAABAg==", "/mdm/checkin", "text/xml", 9, []byte("<plist/>\n"), nil},
		"cut short":           {[]string{"header", "signature"}, nil, "MAABAg==", "/mdm", "", 70_000, bytes.Repeat([]byte("x"), 65536), nil},
		"base64 of its own":   {[]string{"signature"}, nil, "MAABAg=", "/mdm", "", 1, []byte("\n"), nil},
		"base64 with a break": {[]string{"signature"}, nil, "MAAB\nAg==", "/mdm", "", 1, []byte("\x00"), nil},
		"trailing bits":       {[]string{"signature"}, nil, "MAABAh==", "/mdm", "", 1, []byte("ü"), nil},
		"a body in the form":  {nil, nil, "", "/mdm", "a\nb", -1, evidence.Message{Body: []byte("inner")}.Bytes(), nil},
		"blanked":             {[]string{"signature"}, []byte{0x30}, "", "/mdm", "", 5, []byte("12345"), []string{"DigestResponse"}},
	} {
		got := evidence.Parse(m.Bytes())
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m) {
			t.Errorf("%s: read as %+v, was %+v", name, got, m)
		}
		if got.Whole() != (m.Size == len(m.Body) && m.Blanked == nil) {
			t.Errorf("%s: whole is %v", name, got.Whole())
		}
	}
}

// What was kept before there was a form, or is not in it, is a body.
func TestABodyAlone(t *testing.T) {
	whole := evidence.Message{Signature: "MAABAg==", Body: []byte("body")}.Bytes()
	for _, kept := range [][]byte{
		nil, []byte("<plist/>"), []byte("\x00rollcall-evidence/1\n"), []byte("\x00rollcall-evidence/1\n{}"),
		[]byte("\x00rollcall-evidence/1\n{\"body\":-1}\n"), whole[:len(whole)-1], append(bytes.Clone(whole), 'x'),
		[]byte("\x00rollcall-evidence/1\n{\"certificate\":9223372036854775807,\"signature\":9223372036854775807,\"body\":2}\n"),
	} {
		m := evidence.Parse(kept)
		if !bytes.Equal(m.Body, kept) || !m.Whole() || m.Shown != nil || m.Signature != "" {
			t.Errorf("%q is read as %+v", kept, m)
		}
	}
}

// The certificate of a signature is kept once: what stands in the signature repeats bytes that stand before it.
func TestTheSignatureIsKeptAsBytes(t *testing.T) {
	der := bytes.Repeat([]byte{1, 2, 3}, 100)
	m := evidence.Message{Certificate: der, Signature: base64.StdEncoding.EncodeToString(append([]byte("cms"), der...))}
	if n := strings.Count(string(m.Bytes()), string(der)); n != 2 {
		t.Errorf("the certificate's bytes stand there %d times, want 2", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(evidence.Message{Shown: []string{"mtls"}, Signature: "MAABAg==", Body: []byte("x")}.Bytes())
	f.Add([]byte("\x00rollcall-evidence/1\n{\"body\":1}\nx"))
	f.Fuzz(func(t *testing.T, kept []byte) {
		m := evidence.Parse(kept)
		again := evidence.Parse(m.Bytes())
		if !reflect.DeepEqual(m.Body, again.Body) && len(m.Body)+len(again.Body) > 0 || m.Signature != again.Signature {
			t.Errorf("%+v became %+v", m, again)
		}
	})
}

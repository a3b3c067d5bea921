package plist_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	howett "howett.net/plist"
	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

func TestRefuses(t *testing.T) {
	for name, body := range refused {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			text, err := plist.ToJSON(body)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("it becomes %.80s", text)
			}
			e, is := errors.AsType[*plist.Error](err)
			if !is || e.At < 0 || e.At > len(body) || len(err.Error()) > 120 {
				t.Errorf("the error is %#v", err)
			}
			most := uint64(8*len(body) + 1<<20)
			if bytes.HasPrefix(body, []byte("bplist")) {
				most = uint64(128*len(body) + 1<<20) // a shared text may unfold to 16 times the body before it is refused
			}
			if after.TotalAlloc-before.TotalAlloc > most {
				t.Errorf("%d bytes cost %d of memory", len(body), after.TotalAlloc-before.TotalAlloc)
			}
			if took > 2*time.Second {
				t.Errorf("%d bytes cost %v", len(body), took)
			}
			var v map[string]any
			if err := plist.Unmarshal(body, &v); err == nil {
				t.Errorf("Unmarshal reads %v", v)
			}
			if _, err := plist.Scan(body); err == nil {
				t.Error("Scan reads it")
			}
		})
	}
}

func TestAccepts(t *testing.T) {
	for content, want := range accepted {
		body := message(content)
		got, err := plist.ToJSON(body)
		if err != nil || string(got) != want {
			t.Errorf("%s becomes %s, want %s, err %v", content, got, want, err)
			continue
		}
		sameAsHowett(t, body, got)
	}
}

// TestAcceptsAnyProlog reads what stands before the root in every form that is fine.
func TestAcceptsAnyProlog(t *testing.T) {
	for _, prolog := range []string{
		"", "\xEF\xBB\xBF", "\n  ", `<?xml version="1.0"?>`, `<?xml version='1.0' encoding='utf-8' standalone="yes" ?>`,
		`<!DOCTYPE plist>`, `<!DOCTYPE plist SYSTEM "file://localhost/System/Library/DTDs/PropertyList.dtd">`,
		"<!-- one --><!DOCTYPE plist PUBLIC \"-//Apple Computer//DTD PLIST 1.0//EN\" \"a>b\">\n<!-- two -->\n",
	} {
		for _, root := range []string{`<plist version="1.0">`, `<plist>`, `<plist  version = '1.0' >`} {
			body := []byte(prolog + root + "<true/></plist>\n<!-- end -->\n")
			got, err := plist.ToJSON(body)
			if err != nil || string(got) != "true" {
				t.Errorf("%q becomes %s, err %v", body, got, err)
				continue
			}
			sameAsHowett(t, body, got)
		}
	}
}

func TestAcceptsUpToItsBounds(t *testing.T) {
	for name, body := range map[string][]byte{
		"64 arrays":         message(strings.Repeat("<array>", 64) + strings.Repeat("</array>", 64)),
		"200,000 elements":  message("<array>" + strings.Repeat("<true/>", 199_999) + "</array>"),
		"a map of 1,000":    message("<dict>" + manyKeys(1000) + "</dict>"),
		"64 binary arrays":  nestedArrays(63),
		"2^10 of one array": sharedArrays(10),
		"a shared text":     sharedText(1000, 20),
	} {
		got, err := plist.ToJSON(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameAsHowett(t, body, got)
	}
}

// TestGolden compares Apple's messages with JSON that another program made of them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.plist")
	if err != nil || len(files) < 15 {
		t.Fatalf("there are %d messages, err %v", len(files), err)
	}
	binary, _ := filepath.Glob("testdata/*.bplist")
	for _, file := range append(files, binary...) {
		body := sample(t, filepath.Base(file))
		want := bytes.TrimSuffix(sample(t, strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))+".json"), []byte("\n"))
		got, err := plist.ToJSON(body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s becomes\n%s\nwant\n%s\nerr %v", file, got, want, err)
			continue
		}
		sameAsHowett(t, body, got)
		d, err := plist.Scan(body)
		if err != nil || !bytes.Equal(d.Whole(), want) {
			t.Errorf("Scan of %s gives another", file)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	dst := []byte("before ")
	got, err := plist.AppendJSON(dst, message("<dict><key>a</key><true/><key>b</key><true/></dict>"))
	if err != nil || string(got) != `before {"a":true,"b":true}` {
		t.Errorf("AppendJSON gives %s, err %v", got, err)
	}
	if got, err := plist.AppendJSON(dst, []byte("nonsense")); err == nil || string(got) != "before " {
		t.Errorf("after an error dst is %q", got)
	}
}

// anyValue draws a value that a property list can hold.
func anyValue(depth int) *rapid.Generator[any] {
	text := rapid.StringOf(rapid.SampledFrom([]rune("ab<>&\"'\\\n\t\r ]-ü😀\u2028\u007f")))
	scalar := rapid.OneOf(
		rapid.Map(text, func(s string) any { return s }),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Uint64(), func(n uint64) any { return n }),
		rapid.Map(rapid.Float64(), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) any { return b }),
		rapid.Map(rapid.Int64Range(-6e10, 2.5e11), func(s int64) any { return time.Unix(s, 0).UTC() }),
	)
	if depth == 0 {
		return scalar
	}
	below := anyValue(depth - 1)
	return rapid.OneOf(scalar,
		rapid.Map(rapid.SliceOfN(below, 0, 5), func(a []any) any { return a }),
		rapid.Map(rapid.MapOfN(text, below, 0, 5), func(m map[string]any) any { return m }))
}

// TestReadsWhatHowettWrites reads random values, in both forms.
func TestReadsWhatHowettWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyValue(3).Draw(t, "value")
		for _, format := range []int{howett.XMLFormat, howett.BinaryFormat} {
			body, err := howett.Marshal(v, format)
			if err != nil {
				t.Fatal(err)
			}
			got, err := plist.ToJSON(body)
			if err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			var theirs any
			if _, err := howett.Unmarshal(body, &theirs); err != nil {
				t.Fatal(err)
			}
			var ours any
			read := json.NewDecoder(bytes.NewReader(got))
			read.UseNumber()
			if err := read.Decode(&ours); err != nil {
				t.Fatal(err)
			}
			if where := differs(ours, theirs, "root"); where != "" {
				t.Fatalf("%q becomes %s: %s differs", body, got, where)
			}
		}
	})
}

// TestCutOff cuts messages at every byte.
func TestCutOff(t *testing.T) {
	for _, name := range []string{"error.plist", "device-information.plist", "device-information.bplist"} {
		body := bytes.TrimRight(sample(t, name), "\n")
		for n := range body {
			if text, err := plist.ToJSON(body[:n]); err == nil {
				t.Fatalf("%s, cut off at %d, becomes %s", name, n, text)
			}
		}
	}
}

func FuzzToJSON(f *testing.F) {
	for content := range accepted {
		f.Add(message(content))
	}
	for _, body := range refused {
		if len(body) < 1000 {
			f.Add(body)
		}
	}
	for _, name := range []string{"error.plist", "check-out.plist", "restrictions.plist", "device-information.bplist"} {
		body, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text, err := plist.ToJSON(body)
		if err != nil {
			if _, is := errors.AsType[*plist.Error](err); !is {
				t.Fatalf("the error is %#v", err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q becomes %q", body, text)
		}
		sameAsHowett(t, body, text)
		d, err := plist.Scan(body)
		if (err == nil) != (text[0] == '{') || err == nil && !bytes.Equal(d.Rest(), text) && string(text) != "{}" {
			t.Fatalf("%q: Scan and ToJSON differ, err %v", body, err)
		}
	})
}

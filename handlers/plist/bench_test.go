package plist_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	howett "howett.net/plist"

	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

var benched = []string{"idle.plist", "acknowledged.plist", "token-update.plist", "device-information.plist", "installed-application-list.plist", "installed-application-list.bplist"}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func BenchmarkScan(b *testing.B) {
	for _, name := range benched {
		body := sample(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				d, err := plist.Scan(body)
				if err != nil {
					b.Fatal(err)
				}
				d.String("Status")
				d.String("CommandUUID")
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	for _, name := range benched {
		body := sample(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				out, err := plist.AppendJSON(dst[:0], body)
				if err != nil {
					b.Fatal(err)
				}
				dst = out
			}
		})
	}
}

func BenchmarkHowett(b *testing.B) {
	for _, name := range benched {
		body := sample(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var v map[string]any
				if err := howett.NewDecoder(bytes.NewReader(body)).Decode(&v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMarshalCommand(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, err := plist.MarshalCommand("0B6E7C2A-77D4-4B44-9E36-6D1A2B3C4D5E", "DeviceInformation",
			map[string]any{"Queries": []any{"SerialNumber", "OSVersion"}})
		if err != nil {
			b.Fatal(err)
		}
	}
}

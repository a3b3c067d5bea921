package mdm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestBadBodies(t *testing.T) {
	h := build(t, func(h *house) { h.door.KeptPerHour = 1000 })
	g := h.enrolled("U1")
	header := `<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">`
	good := `<dict><key>UDID</key><string>U1</string><key>Status</key><string>Idle</string>%s</dict>`
	for name, body := range map[string]string{
		"nothing":                             "",
		"OpenStep":                            `{ UDID = U1; Status = Idle; }`,
		"JSON":                                `{"UDID":"U1","Status":"Idle"}`,
		"HTML":                                `<html><body>Hello</body></html>`,
		"an array":                            header + `<plist version="1.0"><array/></plist>`,
		"an entity bomb":                      `<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><plist><dict><key>UDID</key><string>&b;</string></dict></plist>`,
		"an external entity":                  `<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a SYSTEM "file:///etc/passwd">]><plist><dict><key>UDID</key><string>&a;</string></dict></plist>`,
		"the same key twice":                  header + `<plist version="1.0">` + fmt.Sprintf(good, "<key>UDID</key><string>U2</string>") + `</plist>`,
		"bytes behind the end":                header + `<plist version="1.0">` + fmt.Sprintf(good, "") + `</plist>PK`,
		"cut short":                           header + `<plist version="1.0"><dict><key>UDID</key><str`,
		"a million arrays":                    header + `<plist version="1.0">` + strings.Repeat("<array>", 1_000_000),
		"a million dictionaries":              header + `<plist version="1.0"><array>` + strings.Repeat("<dict/>", 1_000_000) + `</array></plist>`,
		"UTF-16":                              "\xff\xfe<\x00p\x00l\x00i\x00s\x00t\x00>\x00",
		"gzip":                                "\x1f\x8b\x08\x00\x00\x00\x00\x00",
		"a binary list of endless size":       binaryBomb(0, 1<<36),
		"a binary list that refers to itself": "bplist00\xa1\x00\x08" + trailer(1, 1, 1, 0, 10),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			w := h.put("/mdm", []byte(body), byProxy(g.id))
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if w.Code != 400 {
				t.Errorf("answered %d", w.Code)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20+8*uint64(len(body)) {
				t.Errorf("%d bytes were allocated for %d", grown, len(body))
			}
			if took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if e, r := last[device.MessageUnrecognised](g); e.Size != len(body) || len(body) > 0 && len(g.evidence(r)) == 0 {
				t.Errorf("kept as %+v with %d bytes", e, len(g.evidence(r)))
			}
		})
	}
	g.report("Idle", "", nil)
}

func trailer(offsetSize, refSize byte, objects, root, table uint64) string {
	b := append(make([]byte, 6), offsetSize, refSize)
	for _, n := range []uint64{objects, root, table} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return string(b)
}

func binaryBomb(refSize byte, count uint64) string {
	body := append([]byte("bplist00\xaf\x13"), binary.BigEndian.AppendUint64(nil, count)...)
	at := len(body)
	body = append(body, 8)
	return string(body) + trailer(1, refSize, 1, 0, uint64(at))
}

func TestLongBodies(t *testing.T) {
	const most = 1 << 20
	h := build(t, func(h *house) { h.door.MaxBody = most })
	g := h.enrolled("U1")
	body := func(size int) []byte {
		b := xml(t, map[string]any{"UDID": "U1", "Status": "Idle", "Filler": ""})
		filler := strings.Repeat("x", size-len(b)-len("</string>")+len("/"))
		return bytes.Replace(b, []byte("<string/>"), []byte("<string>"+filler+"</string>"), 1)
	}
	if n := len(body(most)); n != most {
		t.Fatalf("the body has %d bytes, want %d", n, most)
	}
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	if w := h.put("/mdm", body(most), byProxy(g.id)); w.Code != 200 {
		t.Errorf("the longest body was answered %d", w.Code)
	}
	if w := h.put("/mdm", body(most), byProxy(g.id), chunked); w.Code != 200 {
		t.Errorf("the longest body in chunks was answered %d", w.Code)
	}
	if w := h.put("/mdm", body(most+1), byProxy(g.id), chunked); w.Code != 413 {
		t.Errorf("a longer body in chunks was answered %d", w.Code)
	}
	untouched := &counting{Reader: bytes.NewReader(body(most + 1))}
	w := h.put("/mdm", nil, byProxy(g.id), func(r *http.Request) { r.Body, r.ContentLength = untouched, most+1 })
	if w.Code != 413 || untouched.read.Load() != 0 {
		t.Errorf("a body that says it is longer was answered %d after %d bytes", w.Code, untouched.read.Load())
	}
	if e, _ := last[device.MessageUnrecognised](g); e.Size != most+1 {
		t.Errorf("kept as %+v: who looks into it must see why the device comes back with it for ever", e)
	}
}

func TestTheDefaultBoundOfABody(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	w := h.put("/mdm", nil, byProxy(g.id), func(r *http.Request) { r.ContentLength = 8<<20 + 1 })
	if w.Code != 413 {
		t.Errorf("8 MiB and a byte were answered %d", w.Code)
	}
}

type counting struct {
	io.Reader
	read atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (*counting) Close() error { return nil }

func TestABodyThatEndsEarlyIsRefused(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	w := h.put("/mdm", nil, byProxy(g.id), func(r *http.Request) {
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("<plist>"), broken{}))
	})
	if w.Code != 400 || h.refusals()["broken-off"] != 1 {
		t.Errorf("answered %d, counted %v", w.Code, h.refusals())
	}
	wantHistory(t, g, "authenticated identity-pinned token-updated")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestOverTheWire(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	server := httptest.NewServer(h.web)
	defer server.Close()
	ask := func(body io.Reader) *http.Response {
		t.Helper()
		r, err := http.NewRequest(http.MethodPut, server.URL+"/mdm/connect", body)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(certHeader, g.id.escaped())
		w, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Body.Close() })
		return w
	}
	w := ask(bytes.NewReader(idle(t, "U1")))
	if w.StatusCode != 200 || w.ContentLength != 0 {
		t.Errorf("an idle poll was answered %d with length %d", w.StatusCode, w.ContentLength)
	}
	if w := ask(io.MultiReader(bytes.NewReader(idle(t, "U1")))); w.StatusCode != 200 {
		t.Errorf("one in chunks was answered %d", w.StatusCode)
	}
	if w := ask(io.LimitReader(zeros{}, 9<<20)); w.StatusCode != 413 {
		t.Errorf("nine MiB in chunks were answered %d", w.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestFewLargeBodiesAreInMemoryAtOnce(t *testing.T) {
	var b bodies
	b.init()
	ask := func(ctx context.Context) (body, error) {
		r := httptest.NewRequest(http.MethodPut, "/mdm", bytes.NewReader(make([]byte, large+1)))
		return b.read(r.WithContext(ctx), 8<<20)
	}
	var held []body
	for range largeAtOnce {
		one, err := ask(context.Background())
		if err != nil || len(one.bytes) != large+1 {
			t.Fatalf("%d bytes were read: %v", len(one.bytes), err)
		}
		held = append(held, one)
	}
	ctx, giveUp := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer giveUp()
	if _, err := ask(ctx); !errors.Is(err, errBrokenOff) {
		t.Errorf("one more was read: %v", err)
	}
	small := httptest.NewRequest(http.MethodPut, "/mdm", strings.NewReader("small"))
	if one, err := b.read(small, 8<<20); err != nil || string(one.bytes) != "small" {
		t.Errorf("a small one was not read: %q %v", one.bytes, err)
	}
	b.release(held[0])
	if _, err := ask(context.Background()); err != nil {
		t.Errorf("the next was not read after one was released: %v", err)
	}
}

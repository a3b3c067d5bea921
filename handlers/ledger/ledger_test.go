package ledger_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
	proof "github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/ledger"
)

// serve serves a ledger of n events.
func serve(t *testing.T, n int) (*proof.Ledger, string) {
	t.Helper()
	dir := t.TempDir()
	log, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	events := make([]eventstore.Envelope, n)
	for i := range events {
		events[i] = eventstore.Envelope{ID: eventstore.NewUUID(), Type: "t"}
	}
	if err := log.Append(t.Context(), eventstore.Stream{Kind: "d", ID: "a"}, eventstore.NoStream, events); err != nil {
		t.Fatal(err)
	}
	key, err := proof.OpenKey(dir, "mdm.example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	l := &proof.Ledger{Tree: log, Key: key}
	e := echo.New()
	e.HTTPErrorHandler = handlers.ErrorHandler(slog.New(slog.DiscardHandler))
	(&ledger.Door{Ledger: l, Beyond: proof.ErrBeyond}).Mount(e.Group("/log"))
	web := httptest.NewServer(e)
	t.Cleanup(web.Close)
	return l, web.URL + "/log/"
}

func get(t *testing.T, url string) (int, http.Header, []byte) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, body
}

// tiles reads tiles as a client of the log does.
type tiles struct {
	t   *testing.T
	url string
}

func (r tiles) Height() int { return 8 }

func (r tiles) ReadTiles(want []tlog.Tile) (data [][]byte, err error) {
	for _, t := range want {
		status, header, body := get(r.t, r.url+"tile/"+strings.TrimPrefix(t.Path(), "tile/8/"))
		if status != http.StatusOK || !strings.Contains(header.Get("Cache-Control"), "immutable") || header.Get("Content-Type") != "application/octet-stream" {
			return nil, fmt.Errorf("%s: %d %v", t.Path(), status, header)
		}
		data = append(data, body)
	}
	return data, nil
}

func (r tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// A client proves an event, having nothing but the key, by the tiles that are served.
func TestAClientProves(t *testing.T) {
	size := int64(70_000) // tiles of three levels
	if eventstoretest.Raced {
		size = 1_000
	}
	l, url := serve(t, int(size))
	_, _, key := get(t, url+"ledger.pub")
	public, err := proof.ParsePublic(string(key))
	if err != nil {
		t.Fatal(err)
	}
	_, header, text := get(t, url+"checkpoint")
	c, err := proof.OpenCheckpoint(text, public)
	if err != nil || c.Size != size {
		t.Fatalf("%+v, %v", c, err)
	}
	if header.Get("Content-Type") != "text/plain; charset=utf-8" || header.Get("Cache-Control") != "max-age=1" {
		t.Errorf("the checkpoint's headers are %v", header)
	}
	reader := tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, tiles{t, url})
	for _, n := range []int64{0, 255, 256, size * 65_535 / 70_000, size - 1} {
		path, err := tlog.ProveRecord(c.Size, n, reader)
		if err != nil {
			t.Fatal(err)
		}
		want, err := l.Prove(t.Context(), eventstore.Position(n+1), c.Size)
		if err != nil || fmt.Sprint(path) != fmt.Sprint(want.Path) {
			t.Errorf("leaf %d: %v, want %v (%v)", n, path, want.Path, err)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	_, url := serve(t, 300)
	for _, path := range []string{
		"tile/0/002", "tile/0/001", "tile/0/001.p/45", "tile/0/001.p/0", "tile/0/1", "tile/0/x001", "tile/-1/000", "tile/64/000",
		"tile/1/000", "tile/1/000.p/2", "tile/data/000", "tile/entries/000", "tile/", "tile/0/999/999", "tile/0/x999/x999/x999/x999/999", "tile/0/000.p/256",
	} {
		if status, _, body := get(t, url+path); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"tile/0/000", "tile/0/000.p/7", "tile/0/001.p/44", "tile/1/000.p/1"} {
		if status, _, body := get(t, url+path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

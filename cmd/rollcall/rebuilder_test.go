package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// started opens a server on a directory and runs it; end ends it.
func started(t *testing.T, data string) (srv *server, end func()) {
	t.Helper()
	srv, err := openServer(t.Context(), settings{
		Data: data, Listen: "127.0.0.1:0", URL: "http://127.0.0.1:18998", PlainHTTP: true, Views: "sqlite",
		Identity: []string{"signature"}, MaxBody: 8 << 20, LogFormat: "text", LogLevel: "error", Drain: 5 * time.Second,
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.run(ctx) }()
	return srv, func() {
		stop()
		if err := errors.Join(<-ended, srv.close()); err != nil {
			t.Error(err)
		}
	}
}

// A stream that a view has parked for an event that opens now is taken up again when the server starts, by itself.
func TestAServerThatStartsTakesParkedStreamsUpAgain(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	srv, end := started(t, data)
	head, err := srv.log.Head(t.Context())
	if err != nil || head == 0 {
		t.Fatal(head, err)
	}
	if err := srv.views.Wait(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	end()
	conn, err := sqlite.OpenConn(filepath.Join(data, "views.db"), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	const parked = `INSERT INTO parked (view, stream, position, error, time, opened) VALUES ('operators', 'operator-x', 1, 'the program was too old', 0, 0)`
	if err := errors.Join(sqlitex.ExecuteTransient(conn, parked, nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
	srv, end = started(t, data)
	defer end()
	for {
		list, err := srv.views.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, view := range list {
			left += len(view.Parked)
		}
		if left == 0 {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatalf("after all that time %d streams are parked", left)
		}
	}
}

package mdm

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// A strictWriter notices what is written after an answer is whole.
type strictWriter struct {
	*httptest.ResponseRecorder
	heads, bytes int
}

func (w *strictWriter) WriteHeader(status int) {
	w.heads++
	w.ResponseRecorder.WriteHeader(status)
}

func (w *strictWriter) Write(b []byte) (int, error) {
	w.bytes += len(b)
	return w.ResponseRecorder.Write(b)
}

// Lesson 36: whoever refuses a message has answered it. Nothing is written after that, and the length that the answer tells
// is its own.
func TestEveryMessageIsAnsweredOnce(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	foreign := h.guest("U2")
	message := func(keys map[string]any) []byte {
		keys["UDID"] = "U1"
		return xml(t, keys)
	}
	for name, m := range map[string]struct {
		method, path string
		body         []byte
		by           []sending
		status       int
	}{
		"idle":                  {"PUT", "/mdm/connect", message(map[string]any{"Status": "Idle"}), []sending{byProxy(g.id)}, 200},
		"no identity":           {"PUT", "/mdm/connect", message(map[string]any{"Status": "Idle"}), nil, 400},
		"another's identity":    {"PUT", "/mdm/connect", message(map[string]any{"Status": "Idle"}), []sending{byProxy(foreign.id)}, 400},
		"no property list":      {"PUT", "/mdm/checkin", []byte("hello"), []sending{byProxy(g.id)}, 400},
		"an unknown message":    {"PUT", "/mdm/checkin", message(map[string]any{"MessageType": "Dance"}), []sending{byProxy(g.id)}, 400},
		"a declaration of none": {"PUT", "/mdm/checkin", message(map[string]any{"MessageType": "DeclarativeManagement", "Endpoint": "declaration/asset/none"}), []sending{byProxy(g.id)}, 404},
		"GET":                   {"GET", "/mdm/connect", nil, []sending{byProxy(g.id)}, 405},
		"too long":              {"PUT", "/mdm/connect", make([]byte, 20<<20), []sending{byProxy(g.id)}, 413},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(m.method, m.path, bytes.NewReader(m.body))
			r.RemoteAddr = "127.0.0.1:5000"
			for _, change := range m.by {
				change(r)
			}
			w := &strictWriter{ResponseRecorder: httptest.NewRecorder()}
			h.web.ServeHTTP(w, r)
			if w.Code != m.status || w.heads != 1 {
				t.Errorf("it is answered %d with %q, %d times; want %d once", w.Code, w.Body, w.heads, m.status)
			}
			if length := w.Header().Get("Content-Length"); length != "" && length != strconv.Itoa(w.bytes) || w.Code >= http.StatusBadRequest && w.bytes > 1000 {
				t.Errorf("%d bytes are written, and Content-Length is %q", w.bytes, length)
			}
		})
	}
}

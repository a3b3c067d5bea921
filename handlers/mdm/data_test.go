package mdm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// onePassword has one datum for one device, at the mark "right".
type onePassword struct{ device string }

func (onePassword) Set(context.Context, string, device.ChannelID) (declaration.Set, time.Time, error) {
	return declaration.NewSet(nil, declaration.Capabilities{}), time.Time{}, nil
}

func (onePassword) Document(context.Context, string, device.ChannelID, string, string) (json.RawMessage, bool, error) {
	return nil, false, nil
}

func (o onePassword) Download(_ context.Context, deviceID, mark string) (handlers.Download, bool, error) {
	return handlers.Download{Channel: "u", Identifier: "org.example.login", Content: declaration.Content{
		Type: "application/json", Data: []byte(`{"UserName":"ada"}`),
	}}, deviceID == o.device && mark == "right", nil
}

func (h *house) get(method, path string, how ...sending) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = "127.0.0.1:5000"
	return h.send(r, how...)
}

func TestDataOfDeclarationsAreGivenToTheirDeviceAlone(t *testing.T) {
	h := build(t, nil)
	one, two := h.enrolled("U1"), h.enrolled("U2")
	h.door.Declarations = onePassword{one.stream()}
	foreign := newAuthority(t, "Another CA").issue(t, "U1")
	bySignature := func(r *http.Request) { r.Header.Set("Mdm-Signature", signCMS(t, one.id, nil, signing{})) }
	for _, c := range []struct {
		name   string
		method string
		path   string
		how    []sending
		status int
	}{
		{"its device", "GET", "/mdm/data/right", []sending{byProxy(one.id)}, 200},
		{"its device, with a signature", "GET", "/mdm/data/right", []sending{bySignature}, 200},
		{"its device asks how long it is", "HEAD", "/mdm/data/right", []sending{byProxy(one.id)}, 200},
		{"a part of it", "GET", "/mdm/data/right", []sending{byProxy(one.id), func(r *http.Request) { r.Header.Set("Range", "bytes=1-2,4-5") }}, 200},
		{"another address", "GET", "/mdm/data/wrong", []sending{byProxy(one.id)}, 404},
		{"another device", "GET", "/mdm/data/right", []sending{byProxy(two.id)}, 404},
		{"nobody", "GET", "/mdm/data/right", nil, 400},
		{"somebody whom nobody knows", "GET", "/mdm/data/right", []sending{byProxy(h.ca.issue(t, "U3"))}, 400},
		{"a certificate of somebody else's", "GET", "/mdm/data/right", []sending{byProxy(foreign)}, 400},
		{"a signature over something else", "GET", "/mdm/data/right", []sending{func(r *http.Request) {
			r.Header.Set("Mdm-Signature", signCMS(t, one.id, []byte("x"), signing{}))
		}}, 400},
	} {
		w := h.get(c.method, c.path, c.how...)
		whole := w.Body.String() == `{"UserName":"ada"}` || c.method == "HEAD"
		if w.Code != c.status || c.status == 200 && (!whole || w.Header().Get("Content-Length") != "18" || w.Header().Get("Content-Type") != "application/json") {
			t.Errorf("%s: %d %v %s", c.name, w.Code, w.Header(), w.Body)
		}
		if c.status != 200 && w.Body.String() == `{"UserName":"ada"}` || w.Header().Get("Accept-Ranges") != "none" || w.Header().Get("Cache-Control") != "private, no-store" {
			t.Errorf("%s: %d %v %s", c.name, w.Code, w.Header(), w.Body)
		}
	}
	fetched := 0
	for _, r := range one.history() {
		if e, is := r.event.(device.DeclarationsFetched); is && e.Endpoint == "data/org.example.login" && e.Channel == "u" && e.Found {
			fetched++
		}
	}
	if fetched != 3 {
		t.Errorf("the log tells of %d fetches, want 3", fetched)
	}
}

func TestWhoHasLeftIsGivenNoData(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	h.door.Declarations = onePassword{g.stream()}
	g.say(200, "/mdm/checkin", map[string]any{"MessageType": "CheckOut"})
	if w := h.get("GET", "/mdm/data/right", byProxy(g.id)); w.Code != 400 || w.Body.String() == `{"UserName":"ada"}` {
		t.Errorf("it was answered %d %s", w.Code, w.Body)
	}
}

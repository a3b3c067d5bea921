package handlers_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// Whatever a webhook says but a plain yes lets nobody in.
func TestAWebhookKnowsOtherChallenges(t *testing.T) {
	var asked map[string]string
	var status int
	var answer string
	stays := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		if status == 0 {
			select { // says nothing, until the test is over
			case <-stays:
			case <-r.Context().Done():
			}
			return
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/yes")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(web.Close)
	t.Cleanup(func() { close(stays) })
	c := &handlers.Challenges{Key: [32]byte{1}, Webhook: &handlers.Webhook{URL: web.URL}}
	who := handlers.Asked{PublicKey: "key", Name: "device", Address: "192.0.2.7"}
	for name, tt := range map[string]struct {
		status  int
		answer  string
		granted string // the invitation; empty if refused
		once    bool
	}{
		"yes":                        {200, `{"allow":true}`, enrollment.Default, false},
		"yes, once, by another":      {200, `{"allow":true,"invitation":"school","once":true}`, "school", true},
		"no":                         {200, `{"allow":false}`, "", false},
		"nothing":                    {200, ``, "", false},
		"yes, but not as JSON":       {200, `allow: true`, "", false},
		"yes, with trouble":          {500, `{"allow":true}`, "", false},
		"ask somebody else":          {302, `{"allow":true}`, "", false},
		"yes, at the end of a novel": {200, `{"story":"` + strings.Repeat("x", 8<<10) + `","allow":true}`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer = tt.status, tt.answer
			grant, err := c.Check(t.Context(), "theirs", who)
			if _, refused := domain.Refused(err); refused != (tt.granted == "") || err != nil && !refused {
				t.Fatalf("the answer is %+v, %v", grant, err)
			}
			if grant.Invitation != tt.granted || grant.Once != tt.once {
				t.Errorf("it grants %+v", grant)
			}
		})
	}
	if asked["challenge"] != "theirs" || asked["publicKey"] != "key" || asked["name"] != "device" || asked["address"] != "192.0.2.7" {
		t.Errorf("it was asked %v", asked)
	}
	status = 0
	c.Webhook.Timeout = 20 * time.Millisecond
	if grant, err := c.Check(context.WithoutCancel(t.Context()), "theirs", who); err == nil || grant.Invitation != "" {
		t.Errorf("one that says nothing grants %+v", grant)
	}
	own, err := c.New(t.Context(), handlers.Pass{Road: enrollment.Profile})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Check(t.Context(), own, who); err != nil {
		t.Errorf("one of ours is not asked about: %v", err)
	}
}

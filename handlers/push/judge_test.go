package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		status int
		reason string
		err    error
		want   outcome
	}{
		{status: 200, want: outcome{}},
		{status: 400, reason: "BadDeviceToken", want: outcome{final: true}},
		{status: 400, reason: "DeviceTokenNotForTopic", want: outcome{final: true}},
		{status: 400, reason: "BadTopic", want: outcome{trouble: true}},
		{status: 400, reason: "MissingTopic", want: outcome{trouble: true}},
		{status: 400, reason: "TopicDisallowed", want: outcome{trouble: true}},
		{status: 400, reason: "IdleTimeout", want: outcome{broken: true, outage: true}},
		{status: 400, reason: "BadPriority", want: outcome{ours: true}},
		{status: 403, reason: "BadCertificate", want: outcome{trouble: true}},
		{status: 403, reason: "Forbidden", want: outcome{trouble: true}},
		{status: 404, reason: "BadPath", want: outcome{ours: true}},
		{status: 405, reason: "MethodNotAllowed", want: outcome{ours: true}},
		{status: 410, reason: "Unregistered", want: outcome{final: true, dead: true}},
		{status: 410, reason: "ExpiredToken", want: outcome{final: true, dead: true}},
		{status: 413, reason: "PayloadTooLarge", want: outcome{ours: true}},
		{status: 429, reason: "TooManyRequests", want: outcome{slow: true}},
		{status: 500, reason: "InternalServerError", want: outcome{outage: true}},
		{status: 502, want: outcome{outage: true}},
		{status: 503, reason: "Shutdown", want: outcome{outage: true}},
		{status: 302, reason: "?", want: outcome{outage: true}},
		{err: errors.New("cut"), want: outcome{broken: true, outage: true}},
		{err: fmt.Errorf("push: %w", context.DeadlineExceeded), want: outcome{outage: true}},
		{err: fmt.Errorf("push: %w", &Trouble{Reason: "alert"}), want: outcome{trouble: true}},
	} {
		t.Run(fmt.Sprint(test.status, test.reason, test.err), func(t *testing.T) {
			got := judge(Answer{Status: test.status, Reason: test.reason}, test.err)
			if (got.text == "") != (test.status == http.StatusOK) {
				t.Errorf("text is %q", got.text)
			}
			got.text, got.status = "", 0
			if got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// An attempt that failed says what kind of failure it was, and its name is one of few.
func TestEveryFailureIsOfAKind(t *testing.T) {
	ours := []string{"accepted", "other", "handshake", "no-answer", "no-answer-in-time"}
	rapid.Check(t, func(t *rapid.T) {
		a := Answer{Status: rapid.IntRange(100, 599).Draw(t, "status"), Reason: rapid.OneOf(rapid.SampledFrom(outcomes), rapid.String()).Draw(t, "reason")}
		o := judge(a, nil)
		kinds := 0
		for _, is := range []bool{o.final, o.outage, o.trouble, o.ours, o.slow} {
			if is {
				kinds++
			}
		}
		if want := a.Status != http.StatusOK; (kinds == 1) != want || (o.text != "") != want {
			t.Fatalf("%+v: %+v", a, o)
		}
		if !slices.Contains(ours, o.name()) && !slices.Contains(outcomes, o.name()) {
			t.Fatalf("the name is %q", o.name())
		}
	})
}

func TestWaitsGrowAndAreBounded(t *testing.T) {
	n := &Notifier{}
	n.prepare()
	rapid.Check(t, func(t *rapid.T) {
		failures := rapid.IntRange(0, 1000).Draw(t, "failures")
		for factor, most := range map[int]time.Duration{1: 5 * time.Minute, troubled: 30 * time.Minute} {
			first := min(time.Second*time.Duration(factor)<<min(failures, 16), most)
			if d := n.wait(failures, factor); d < first/2 || d > most {
				t.Fatalf("wait(%d, %d) = %v", failures, factor, d)
			}
		}
	})
}

func TestPayloadIsTheMagicAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		magic := rapid.String().Draw(t, "magic")
		body, err := Payload(magic)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]string
		if err := json.Unmarshal(body, &keys); err != nil || len(keys) != 1 || keys["mdm"] != magic {
			t.Fatalf("%s: %v", body, err)
		}
	})
}

func FuzzHear(f *testing.F) {
	f.Add(410, "3", []byte(`{"reason":"Unregistered","timestamp":1893456000123}`))
	f.Add(503, "Wed, 21 Oct 2099 07:28:00 GMT", []byte(`{"reason":"Shutdown"}`))
	f.Add(502, "-1", []byte(`<html>`))
	f.Add(410, "9999999999", []byte(`{"timestamp":-1e400}`))
	f.Fuzz(func(t *testing.T, status int, retry string, body []byte) {
		a := hear(status, http.Header{"Retry-After": {retry}, "Apns-Id": {retry}}, body)
		if a.Status != status || a.RetryAfter < 0 || a.RetryAfter > maxRetryAfter || len(a.Reason) > 64 || len(a.ID) > 64 {
			t.Errorf("%+v", a)
		}
		if strings.ContainsFunc(a.Reason+a.ID, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%+v does not belong in a log", a)
		}
	})
}

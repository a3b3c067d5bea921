package push_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
)

const topic = "com.apple.mgmt.External.11111111-2222-4333-8444-555555555555"

func start(t *testing.T, o apnstest.Options) *apnstest.Server {
	t.Helper()
	s, err := apnstest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func certificate(t *testing.T, s *apnstest.Server, topic string, notAfter time.Time) pushcert.PushCertificate {
	t.Helper()
	pem, key, err := s.PushCertificate(topic, notAfter)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := pushcert.Read(append(pem, key...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return pushcert.PushCertificate{}.Evolve(stored, time.Now())
}

func way(t *testing.T, s *apnstest.Server) *push.APNs {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	a := &push.APNs{URL: s.URL, Roots: roots}
	t.Cleanup(a.Close)
	return a
}

func hello() push.Message {
	return push.Message{Token: []byte{0xca, 0xfe, 0x01}, Magic: "magic-ü", Expiration: time.Now().Add(time.Hour)}
}

func TestAPushIsWhatAppleWants(t *testing.T) {
	s := start(t, apnstest.Options{})
	before := time.Now()
	answer, err := way(t, s).Send(t.Context(), certificate(t, s, topic, time.Now().AddDate(1, 0, 0)), hello())
	if err != nil || answer.Status != http.StatusOK || answer.ID == "" || answer.Reason != "" {
		t.Fatalf("Send = %+v, %v", answer, err)
	}
	p := s.Pushes()[0]
	if got, want := string(p.Body), `{"mdm":"magic-ü"}`; got != want {
		t.Errorf("the payload is %s, want %s", got, want)
	}
	if p.Token != "cafe01" || p.Topic != topic || p.Priority != "10" || p.ID != answer.ID {
		t.Errorf("the push is %+v", p)
	}
	if in := p.Expiration.Sub(before); in < 59*time.Minute || in > 61*time.Minute {
		t.Errorf("the push is kept for %v", in)
	}
}

func TestAnswers(t *testing.T) {
	dead := time.UnixMilli(1_893_456_000_123).UTC()
	huge := []byte(strings.Repeat("<html>", 1<<20))
	for _, test := range []struct {
		name  string
		fault apnstest.Fault
		want  push.Answer
	}{
		{"a dead token tells since when, to the millisecond", apnstest.Fault{Status: 410, Reason: "Unregistered", Since: dead},
			push.Answer{Status: 410, Reason: "Unregistered", DeadSince: dead}},
		{"Retry-After is heard", apnstest.Fault{Status: 503, Reason: "ServiceUnavailable", RetryAfter: 7 * time.Second},
			push.Answer{Status: 503, Reason: "ServiceUnavailable", RetryAfter: 7 * time.Second}},
		{"Retry-After is bounded", apnstest.Fault{Status: 429, Reason: "TooManyRequests", RetryAfter: 1000 * time.Hour},
			push.Answer{Status: 429, Reason: "TooManyRequests", RetryAfter: time.Hour}},
		{"an answer in HTML keeps its status", apnstest.BadGateway, push.Answer{Status: 502}},
		{"an endless answer is not read", apnstest.Fault{Status: 502, Body: huge}, push.Answer{Status: 502}},
		{"an answer cannot lie about its status", apnstest.Fault{Status: 500, Body: []byte(`{"StatusCode":200,"ApnsID":"x"}`)},
			push.Answer{Status: 500}},
		{"a reason is clipped", apnstest.Fault{Status: 500, Body: []byte(`{"reason":"a\nb` + strings.Repeat("c", 100) + `"}`)},
			push.Answer{Status: 500, Reason: "ab" + strings.Repeat("c", 62)}},
		{"a redirection is not followed", apnstest.Fault{Status: 302, Reason: "Elsewhere"}, push.Answer{Status: 302, Reason: "Elsewhere"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, apnstest.Options{})
			s.Fail(func(apnstest.Push) apnstest.Fault { return test.fault })
			got, err := way(t, s).Send(t.Context(), certificate(t, s, topic, time.Now().AddDate(1, 0, 0)), hello())
			got.ID = ""
			if err != nil || got != test.want {
				t.Errorf("Send = %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	s, other := start(t, apnstest.Options{}), start(t, apnstest.Options{})
	year := time.Now().AddDate(1, 0, 0)
	good := certificate(t, s, topic, year)
	noKey := good
	noKey.Key = nil
	for _, test := range []struct {
		name string
		way  *push.APNs
		cert pushcert.PushCertificate
	}{
		{"an expired push certificate", way(t, s), certificate(t, s, topic, time.Now().Add(-time.Hour))},
		{"a push certificate of another authority", way(t, s), certificate(t, other, topic, year)},
		{"an APNs that we do not trust", &push.APNs{URL: s.URL, Roots: x509.NewCertPool()}, good},
		{"a certificate without its key", way(t, s), noKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Cleanup(test.way.Close)
			eventually(t, "there is Trouble", func() bool { // a write may fail before the alert is read
				_, err := test.way.Send(t.Context(), test.cert, hello())
				if err == nil || strings.Contains(err.Error(), "cafe01") {
					t.Fatalf("Send = %v, want an error without the token", err)
				}
				_, ok := errors.AsType[*push.Trouble](err)
				return ok
			})
		})
	}
}

func TestNoAnswerIsAnErrorWithoutTheToken(t *testing.T) {
	s := start(t, apnstest.Options{})
	a, cert := way(t, s), certificate(t, s, topic, time.Now().AddDate(1, 0, 0))
	s.Fail(func(apnstest.Push) apnstest.Fault { return apnstest.Hang })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := a.Send(ctx, cert, hello()); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "cafe01") {
		t.Errorf("a push that hangs ends with %v", err)
	}
	s.Fail(func(apnstest.Push) apnstest.Fault { return apnstest.Cut })
	if _, err := a.Send(t.Context(), cert, hello()); err == nil || strings.Contains(err.Error(), "cafe01") {
		t.Errorf("a push that is cut ends with %v", err)
	}
}

func TestARenewedCertificateTakesANewConnectionAndLeavesTheOld(t *testing.T) {
	s := start(t, apnstest.Options{})
	a := way(t, s)
	for i := range 5 {
		cert := certificate(t, s, topic, time.Now().AddDate(1, 0, i))
		for range 3 {
			if _, err := a.Send(t.Context(), cert, hello()); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "one connection is open", func() bool { return s.Stats().Open == 1 })
	if n := s.Stats().Connections; n != 5 {
		t.Errorf("%d connections were opened, want 5", n)
	}
	a.Close()
	eventually(t, "no connection is open", func() bool { return s.Stats().Open == 0 })
}

func TestGoAwayAfterEachLosesNothing(t *testing.T) {
	s := start(t, apnstest.Options{})
	s.Fail(func(apnstest.Push) apnstest.Fault { return apnstest.GoAway })
	a, cert := way(t, s), certificate(t, s, topic, time.Now().AddDate(1, 0, 0))
	for range 20 {
		if answer, err := a.Send(t.Context(), cert, hello()); err != nil || answer.Status != http.StatusOK {
			t.Fatalf("Send = %+v, %v", answer, err)
		}
	}
}

func TestManyAtOnceTakeOneConnection(t *testing.T) {
	s := start(t, apnstest.Options{MaxStreams: 100})
	a, cert := way(t, s), certificate(t, s, topic, time.Now().AddDate(1, 0, 0))
	var g sync.WaitGroup
	for range 300 {
		g.Go(func() {
			if _, err := a.Send(t.Context(), cert, hello()); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if stats := s.Stats(); stats.Accepted != 300 || stats.Connections != 1 {
		t.Errorf("%d pushes on %d connections, want 300 on one", stats.Accepted, stats.Connections)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline.C:
			t.Fatalf("it never came to be that %s", what)
		case <-tick.C:
		}
	}
}

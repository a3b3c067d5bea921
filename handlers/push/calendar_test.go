package push_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
	"github.com/rollcall-mdm/rollcall/projections"
)

// listed are push certificates as a view tells them.
type listed struct {
	list []projections.PushCertificate
	err  error
}

func (l *listed) PushCertificates(context.Context) ([]projections.PushCertificate, error) {
	return l.list, l.err
}

func TestTheEndOfAPushCertificateIsToldOnce(t *testing.T) {
	h := build(t, apnstest.Options{})
	end := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	now := end.AddDate(0, 0, -61)
	h.certs.Now = func() time.Time { return now }
	stored := pushcert.Stored{Topic: "com.apple.mgmt.years", Fingerprint: "a", NotAfter: end}
	if _, err := h.certs.Update(t.Context(), stored.Topic, eventstore.Meta{}, func(p pushcert.PushCertificate, at time.Time) ([]domain.Event, error) {
		return p.Store(stored, at)
	}); err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	views := &listed{list: []projections.PushCertificate{{Topic: stored.Topic, NotAfter: end, Devices: 12}}}
	c := &push.Calendar{Views: views, Certificates: h.certs, Now: h.certs.Now, Log: slog.New(slog.NewTextHandler(&output, nil))}
	for _, day := range []struct{ left, want int }{{61, 0}, {60, 1}, {59, 1}, {30, 2}, {29, 2}, {7, 3}, {0, 4}, {-3, 4}} {
		now = end.AddDate(0, 0, -day.left)
		if err := c.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		p, _, err := h.certs.Load(t.Context(), stored.Topic)
		if err != nil || len(p.Warnings) != day.want || strings.Count(output.String(), "level=WARN") != day.want {
			t.Errorf("%d days before the end: warnings %v, %v; log %s", day.left, p.Warnings, err, output.String())
		}
	}
	if !strings.Contains(output.String(), "devices=12") || !strings.Contains(output.String(), "renew the same entry") {
		t.Errorf("the warning does not say what to do: %s", output.String())
	}
	views.err = errors.New("away")
	if err := c.Look(t.Context()); err == nil {
		t.Error("a view that cannot be read is no reason to be content")
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/mdm"
	"github.com/rollcall-mdm/rollcall/projections"
)

// metrics are what /metrics tells Prometheus. No label holds anything about a person or a single device.
type metrics struct {
	registry  *prometheus.Registry
	appends   prometheus.Counter
	conflicts prometheus.Counter
	events    prometheus.Counter
	failures  prometheus.Counter
	batch     prometheus.Histogram
	fsync     prometheus.Histogram
	bytes     prometheus.Counter
	checkins  *prometheus.CounterVec
	connects  *prometheus.CounterVec
	refused   *prometheus.CounterVec
	pushes    *prometheus.CounterVec
	scep      *prometheus.CounterVec
	acme      *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		appends:   counter("log_appends_total", "Appends that were answered."),
		conflicts: counter("log_conflicts_total", "Appends that somebody else had overtaken."),
		events:    counter("log_events_total", "Events made durable."),
		failures:  counter("log_failed_commits_total", "Commits that failed; nothing in them was acknowledged."),
		bytes:     counter("log_bytes_total", "Bytes of the data of events made durable, before compression."),
		batch:     histogram("log_batch_events", "Events in a commit; with EventStoreDB in an append.", prometheus.ExponentialBuckets(1, 2, 11)),
		fsync:     histogram("log_fsync_seconds", "Time that the disk took for a commit; with EventStoreDB the time until an append was answered.", prometheus.ExponentialBuckets(0.0001, 2, 14)),
		checkins:  counters("checkins_total", "Check-in messages that were answered with 200.", "message_type"),
		connects:  counters("reports_total", "Reports on the command channel that were answered with 200.", "status"),
		refused:   counters("messages_refused_total", "Messages that were refused at the devices' door.", "reason"),
		pushes:    counters("pushes_total", "Attempts to wake a device.", "topic", "reason"),
		scep:      counters("scep_requests_total", "Requests at the door where devices get their certificates.", "operation", "outcome"),
		acme:      counters("acme_requests_total", "Requests at the door where devices get certificates for keys that are attested.", "operation", "outcome"),
	}
	m.registry.MustRegister(m.appends, m.conflicts, m.events, m.bytes, m.failures, m.batch, m.fsync,
		m.checkins, m.connects, m.refused, m.pushes, m.scep, m.acme,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "rollcall", Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "rollcall", Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "rollcall", Name: name, Help: help, Buckets: buckets})
}

// committed is told of every commit of the log.
func (m *metrics) committed(c embedded.Commit) {
	if c.Err != nil {
		m.failures.Inc()
		return
	}
	m.appends.Add(float64(c.Appends))
	m.conflicts.Add(float64(c.Conflicts))
	m.events.Add(float64(c.Events))
	m.bytes.Add(float64(c.Bytes))
	if c.Events > 0 {
		m.batch.Observe(float64(c.Events))
		m.fsync.Observe(c.Sync.Seconds())
	}
}

// appended is told of every append to a log in EventStoreDB.
func (m *metrics) appended(a esdb.Appended) {
	switch {
	case errors.Is(a.Err, eventstore.ErrConflict):
		m.appends.Inc()
		m.conflicts.Inc()
	case a.Err != nil:
		m.failures.Inc()
	default:
		m.appends.Inc()
		m.events.Add(float64(a.Events))
		m.bytes.Add(float64(a.Bytes))
		m.batch.Observe(float64(a.Events))
		m.fsync.Observe(a.Took.Seconds())
	}
}

func (m *metrics) door() mdm.Observe {
	return mdm.Observe{CheckIn: count(m.checkins), Connect: count(m.connects), Refused: count(m.refused)}
}

func (m *metrics) pushed(topic, outcome string) { m.pushes.WithLabelValues(topic, outcome).Inc() }

func (m *metrics) certified(operation, outcome string) {
	m.scep.WithLabelValues(operation, outcome).Inc()
}

func (m *metrics) attested(operation, outcome string) {
	m.acme.WithLabelValues(operation, outcome).Inc()
}

func count(v *prometheus.CounterVec) func(string) {
	return func(label string) { v.WithLabelValues(label).Inc() }
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// serve answers on an address of its own until ctx ends: metrics, and Go's profiles, which are nobody else's business.
func (m *metrics) serve(ctx context.Context, address string) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	web := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve --metrics-listen: %w", err)
	}
	return nil
}

// watch registers what is asked at the moment of a scrape: how far views are behind, and how many commands are in
// which state.
func (m *metrics) watch(views *projections.Views, now func() time.Time, ends func() []handlers.End) {
	m.registry.MustRegister(&asked{
		views:    views,
		now:      now,
		ends:     ends,
		lag:      prometheus.NewDesc("rollcall_view_lag_events", "How many events a view is behind the log.", []string{"view"}, nil),
		parked:   prometheus.NewDesc("rollcall_view_parked_streams", "Streams that a view could not digest.", []string{"view"}, nil),
		commands: prometheus.NewDesc("rollcall_commands", "Commands by state.", []string{"state"}, nil),
		expiry:   prometheus.NewDesc("rollcall_push_certificate_expires_seconds", "When a topic's push certificate ends, in seconds since 1970.", []string{"topic"}, nil),
		first:    prometheus.NewDesc("rollcall_identity_expires_seconds", "When the first certificate by which a device speaks ends, in seconds since 1970.", nil, nil),
		ending:   prometheus.NewDesc("rollcall_identities_ending", "Certificates by which devices speak that end within thirty days.", nil, nil),
		late:     prometheus.NewDesc("rollcall_identities_overdue", "Certificates by which devices speak that end soon and were not renewed in time.", nil, nil),
		other:    prometheus.NewDesc("rollcall_certificate_expires_seconds", "When a certificate ends that the server depends on, in seconds since 1970.", []string{"kind", "name"}, nil),
	})
}

type asked struct {
	views                         *projections.Views
	now                           func() time.Time
	lag, parked, commands, expiry *prometheus.Desc
	first, ending, late, other    *prometheus.Desc
	ends                          func() []handlers.End
}

// Describe fulfils prometheus.Collector.
func (a *asked) Describe(ch chan<- *prometheus.Desc) {
	ch <- a.lag
	ch <- a.parked
	ch <- a.commands
	ch <- a.expiry
	ch <- a.first
	ch <- a.ending
	ch <- a.late
	ch <- a.other
}

// Collect fulfils prometheus.Collector. What cannot be read now is absent from the scrape.
func (a *asked) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), glance)
	defer cancel()
	if list, err := a.views.List(ctx); err == nil {
		for _, v := range list {
			ch <- prometheus.MustNewConstMetric(a.lag, prometheus.GaugeValue, float64(v.Lag), v.Name)
			ch <- prometheus.MustNewConstMetric(a.parked, prometheus.GaugeValue, float64(len(v.Parked)), v.Name)
		}
	}
	if states, err := a.views.CommandCounts(ctx); err == nil {
		for state, n := range states {
			ch <- prometheus.MustNewConstMetric(a.commands, prometheus.GaugeValue, float64(n), string(state))
		}
	}
	if list, err := a.views.PushCertificates(ctx); err == nil {
		for _, c := range list {
			ch <- prometheus.MustNewConstMetric(a.expiry, prometheus.GaugeValue, float64(c.NotAfter.Unix()), c.Topic)
		}
	}
	a.collectEnds(ctx, ch)
	if e, err := a.views.Endings(ctx, a.now().Add(30*24*time.Hour)); err == nil {
		ch <- prometheus.MustNewConstMetric(a.ending, prometheus.GaugeValue, float64(e.Count))
		ch <- prometheus.MustNewConstMetric(a.late, prometheus.GaugeValue, float64(e.Late))
		if !e.First.IsZero() {
			ch <- prometheus.MustNewConstMetric(a.first, prometheus.GaugeValue, float64(e.First.Unix()))
		}
	}
}

// collectEnds tells when roots end, and what stands in files. Of two files with one name the first end counts.
func (a *asked) collectEnds(ctx context.Context, ch chan<- prometheus.Metric) {
	list := a.ends()
	roots, err := a.views.Roots(ctx, projections.Now, a.now())
	for _, r := range roots {
		if err == nil {
			list = append(list, handlers.End{Kind: handlers.EndsRoot, Name: r.Fingerprint, NotAfter: r.NotAfter})
		}
	}
	first := map[[2]string]time.Time{}
	for _, e := range list {
		key := [2]string{e.Kind, e.Name}
		if before, known := first[key]; !known || e.NotAfter.Before(before) {
			first[key] = e.NotAfter
		}
	}
	for key, end := range first {
		ch <- prometheus.MustNewConstMetric(a.other, prometheus.GaugeValue, float64(end.Unix()), key[0], key[1])
	}
}

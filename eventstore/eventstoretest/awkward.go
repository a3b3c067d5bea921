package eventstoretest

import (
	"bytes"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

func awkwardStreams(tr *trial) {
	unique := eventstore.NewUUID().String()
	written := map[eventstore.Stream]envelopes{}
	for _, id := range []string{
		"", "-", "--", "a-b-c", "A", "a", "ü", "u\u0308", "\x00", "a\x00", "a\x00b", "👩‍👩‍👧‍👦", " ", "a ", "a\nb", "'; --", `"`, "%", "_", "$all", "$ce-device", "../..",
		strings.Repeat("x", 10<<10), strings.Repeat("x", 10<<10-1) + "y",
	} {
		for _, kind := range []string{"device", "d"} {
			s := eventstore.Stream{Kind: kind, ID: unique + id}
			written[s] = tr.append(s, eventstore.NoStream, 2)
		}
	}
	for s, want := range written {
		tr.same("the stream", tr.read(s, 0, eventstore.Forward), want)
	}
	if n := len(tr.all()); n != 2*len(written) {
		tr.Errorf("the log has %d events, want %d", n, 2*len(written))
	}
}

func awkwardData(tr *trial) {
	big := bytes.Repeat([]byte("0123456789"), 90_000)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	var want envelopes
	s := tr.stream()
	for i, data := range [][]byte{nil, {}, {0}, every, big} {
		e := event(i)
		e.Data, e.Personal, e.Secret, e.Evidence = nil, data, nil, nil
		want = append(want, e)
		e = event(i)
		e.Data, e.Personal, e.Secret, e.Evidence = nil, nil, data, nil
		want = append(want, e)
		e = event(i)
		e.Data, e.Personal, e.Secret, e.Evidence = nil, nil, nil, data
		want = append(want, e)
	}
	for i, data := range []string{`{}`, `null`, `{"a":"\u0000ü👍"}`, " {\n\t} ", `"` + string(big) + `"`} {
		e := event(i)
		e.Data, e.Correlation, e.Causation = []byte(data), eventstore.UUID{}, eventstore.UUID{}
		want = append(want, e)
	}
	for i := range want {
		tr.must(tr.log.Append(tr.Context(), s, int64(i-1), want[i:i+1]))
	}
	tr.same("the stream", tr.read(s, 0, eventstore.Forward), want)
	tr.same("the stream backward", tr.read(s, -1, eventstore.Backward), reversed(want))
	tr.same("the follower", tr.follow(tr.start, len(want)), want)
}

func times(tr *trial) {
	s := tr.stream()
	berlin := time.FixedZone("CET", 3600)
	given := []time.Time{
		time.Date(2026, 11, 22, 10, 0, 0, 123456789, berlin),
		time.Date(2026, 11, 22, 10, 0, 0, 999999999, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 1000, time.UTC),
		time.Now(),
	}
	events := some(len(given))
	for i, at := range given {
		events[i].Time = at
	}
	tr.must(tr.log.Append(tr.Context(), s, eventstore.NoStream, events))
	check := func(what string, got envelopes) {
		for i, e := range got {
			want := given[i].UTC().Truncate(time.Microsecond)
			if !e.Time.Equal(want) || e.Time.Location() != time.UTC {
				tr.Errorf("%s: time is %s, want %s", what, e.Time, want)
			}
		}
	}
	check("the stream", tr.read(s, 0, eventstore.Forward))
	check("the follower", tr.follow(tr.start, len(given)))
}

func actors(tr *trial) {
	s := tr.stream()
	given := []eventstore.Actor{
		{},
		{Kind: eventstore.ByDevice, ID: s.ID},
		{Kind: eventstore.ByDevice, ID: s.ID, Name: "iPad"},
		{Kind: eventstore.ByDevice, ID: "another"},
		{Kind: eventstore.ByOperator, ID: "ada", Name: "Ada Löwe", Role: "administrator"},
		{Kind: eventstore.ByOperator, ID: "ada", Name: "Ada Löwe", Role: "viewer"},
		{Kind: eventstore.ByToken, ID: "a\x00b", Name: "a, b", Role: "x y"},
		{Kind: eventstore.ByWorker, ID: "push"},
		{Kind: eventstore.ByApple},
	}
	events := some(len(given))
	for i, a := range given {
		a.Address = "192.0.2.7"
		events[i].Actor = a
	}
	tr.must(tr.log.Append(tr.Context(), s, eventstore.NoStream, events))
	check := func(what string, got envelopes) {
		for i, e := range got {
			if e.Actor != given[i] {
				tr.Errorf("%s: the actor is %+v, want %+v", what, e.Actor, given[i])
			}
		}
	}
	check("the stream", tr.read(s, 0, eventstore.Forward))
	check("the follower", tr.follow(tr.start, len(given)))
}

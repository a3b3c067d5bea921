package esdbtest

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// An outlet sends events to a caller, with the faults that were injected.
type outlet struct {
	call    streams.Streams_ReadServer
	options *streams.ReadReq_Options
	fault   *Fault
	sift    *sift
	sent    int
}

// send sends one event.
func (o *outlet) send(e *Event) error {
	if err := o.suffer(); err != nil {
		return err
	}
	text := o.options.GetUuidOption().GetString_() != nil
	o.sent++
	return o.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: recorded(e, text)}})
}

// suffer lets the fault happen, if it is time.
func (o *outlet) suffer() error {
	f := o.fault
	if f == nil || o.sent < f.After {
		return nil
	}
	switch f.Kind {
	case Drop:
		return status.Error(codes.Unavailable, "dropped on demand")
	case Strange:
		o.fault = nil
		return o.call.Send(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{}})
	case Slow:
		select {
		case <-time.After(f.Pace):
		case <-o.call.Context().Done():
			return o.call.Context().Err()
		}
	}
	return nil
}

// A sift says which events pass a subscription's filter.
type sift struct {
	byType   bool
	regex    *regexp.Regexp
	prefixes []string
	interval int // events that are looked at, between checkpoints
}

func newSift(o *streams.ReadReq_Options_FilterOptions) (*sift, error) {
	if o == nil {
		return nil, nil
	}
	s := &sift{byType: o.GetEventType() != nil, interval: 32 * int(o.GetCheckpointIntervalMultiplier())}
	if o.GetMax() > 0 {
		s.interval = int(o.GetMax() * o.GetCheckpointIntervalMultiplier())
	}
	expression := o.GetStreamIdentifier()
	if s.byType {
		expression = o.GetEventType()
	}
	if s.interval == 0 || expression == nil {
		return nil, errors.New("a filter wants an expression and a checkpoint interval")
	}
	s.prefixes = expression.GetPrefix()
	if expression.GetRegex() == "" {
		return s, nil
	}
	var err error
	s.regex, err = regexp.Compile(expression.GetRegex())
	return s, err
}

func (s *sift) lets(e *Event) bool {
	if s == nil {
		return true
	}
	name := e.Stream
	if s.byType {
		name = e.Type
	}
	if s.regex != nil {
		return s.regex.MatchString(name)
	}
	for _, p := range s.prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// ticks writes a time as the server does: in units of 100 ns since 1970.
func ticks(t time.Time) string { return strconv.FormatInt(t.UnixNano()/100, 10) }

func idFrom(u *shared.UUID) (id [16]byte, err error) {
	switch v := u.GetValue().(type) {
	case *shared.UUID_Structured_:
		binary.BigEndian.PutUint64(id[:8], uint64(v.Structured.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(id[8:], uint64(v.Structured.GetLeastSignificantBits()))
	case *shared.UUID_String_:
		b, err := hex.DecodeString(strings.ReplaceAll(v.String_, "-", ""))
		if err != nil || len(b) != len(id) {
			return id, fmt.Errorf("%q is not a UUID", v.String_)
		}
		copy(id[:], b)
	}
	if id == [16]byte{} {
		return id, errors.New("an event wants an id")
	}
	return id, nil
}

func idTo(id [16]byte, text bool) *shared.UUID {
	if text {
		h := hex.EncodeToString(id[:])
		return &shared.UUID{Value: &shared.UUID_String_{
			String_: h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:],
		}}
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

package eventstoretest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// What the clients of a linearizability trial do.
const (
	linearClients = 8
	linearStreams = 2
	linearOps     = 25 // of each client in each round, at most
	linearRounds  = 4
)

// An asked is what a client asked of the log: to append events, or for a stream's last one.
type asked struct {
	stream   int
	append   bool
	expected int64
	ids      string // of the events to append, 16 bytes each
}

// A told is what a client was told.
type told struct {
	outcome outcome
	version int64
	last    string // the last event's id
}

type outcome int

const (
	done outcome = iota
	conflicted
	unknown // the call failed: it may have happened, now or later, or not
)

// register is what a stream is to its clients: a list of event ids that grows at its end if the writer knows its length.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, linearStreams)
		for _, op := range history {
			s := op.Input.(asked).stream
			parts[s] = append(parts[s], op)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(string), input.(asked), output.(told))
	},
}

func step(ids string, in asked, out told) (bool, any) {
	const size = len(eventstore.UUID{})
	version := int64(len(ids)/size) - 1
	if !in.append {
		return out.version == version && out.last == ids[max(0, len(ids)-size):], ids
	}
	at := int(in.expected+1) * size
	repeats := len(ids) >= at+len(in.ids) && ids[at:at+len(in.ids)] == in.ids
	switch out.outcome {
	case conflicted:
		return version != in.expected && !repeats, ids
	case done:
		if repeats {
			return true, ids
		}
		return version == in.expected, ids + in.ids
	}
	if version == in.expected {
		return true, ids + in.ids
	}
	return true, ids
}

// linearizes has clients write and read the same streams while the log is closed and opened again, and the store behind it is
// restarted. What they were told is what one after the other could have been told.
func linearizes(tr *trial) {
	l := &linear{trial: tr, start: time.Now()}
	for range linearStreams {
		l.streams = append(l.streams, tr.stream())
	}
	for round := range linearRounds {
		var all sync.WaitGroup
		some := make(chan struct{}, linearClients*linearOps)
		for client := range linearClients {
			all.Go(func() { l.round(round, client, some) })
		}
		for range linearClients * 3 {
			<-some
		}
		if round%2 == 0 && tr.Restart != nil {
			tr.Restart(tr.T, tr.place)
		} else {
			tr.must(tr.log.Close())
		}
		all.Wait()
		tr.must(tr.log.Close())
		tr.log = tr.Open(tr.T, tr.place)
	}
	switch porcupine.CheckOperationsTimeout(register, l.history, patience) {
	case porcupine.Illegal:
		tr.Errorf("what %d calls were told is not what one after the other could have been told", len(l.history))
	case porcupine.Unknown:
		tr.Errorf("%d calls are too many to tell", len(l.history))
	}
	tr.Logf("%d calls, of which %d have an unknown outcome", len(l.history), l.unknown)
}

// A linear collects what clients ask and are told.
type linear struct {
	*trial
	start   time.Time
	streams []eventstore.Stream

	mu      sync.Mutex
	history []porcupine.Operation
	unknown int
}

// round is what one client does until the log is closed.
func (l *linear) round(round, client int, did chan<- struct{}) {
	luck := rand.New(rand.NewPCG(uint64(round), uint64(client)))
	known := make([]int64, linearStreams)
	for i := range known {
		known[i] = eventstore.NoStream
	}
	var again *asked // whose outcome is not known
	var events envelopes
	for range linearOps {
		in := asked{stream: luck.IntN(linearStreams), append: luck.IntN(3) > 0}
		in.expected = max(eventstore.NoStream, known[in.stream]-int64(luck.IntN(8)/7))
		if in.append {
			events = some(1 + luck.IntN(2))
			for _, e := range events {
				in.ids += string(e.ID[:])
			}
		}
		if again != nil {
			in = *again
		}
		out, err := l.call(client, in, events)
		did <- struct{}{}
		again = nil
		switch {
		case errors.Is(err, eventstore.ErrClosed):
			return
		case in.append && out.outcome == unknown:
			again = &in
		case in.append && out.outcome == done:
			known[in.stream] = in.expected + int64(len(events))
		case !in.append && out.outcome == done:
			known[in.stream] = out.version
		}
	}
}

// call asks the log, and writes down what it was told.
func (l *linear) call(client int, in asked, events envelopes) (out told, err error) {
	call := time.Since(l.start).Nanoseconds()
	if in.append {
		err = l.log.Append(l.Context(), l.streams[in.stream], in.expected, events)
	} else {
		out, err = l.lastOf(in.stream)
	}
	back := time.Since(l.start).Nanoseconds()
	switch {
	case errors.Is(err, eventstore.ErrConflict):
		out.outcome = conflicted
	case err != nil:
		out.outcome = unknown
		back = time.Hour.Nanoseconds() // at the end of all, or later
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if out.outcome == unknown {
		l.unknown++
	}
	if in.append || out.outcome == done {
		l.history = append(l.history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: back})
	}
	return out, err
}

func (l *linear) lastOf(stream int) (told, error) {
	for e, err := range l.log.ReadStream(l.Context(), l.streams[stream], -1, eventstore.Backward) {
		return told{version: e.Version, last: string(e.ID[:])}, err
	}
	return told{version: eventstore.NoStream}, nil
}

// Package embedded keeps the log in one SQLite file, for one process.
//
// Appends wait in a queue. One goroutine, the committer, takes all that are waiting, gives them their
// positions, and commits them together: one fsync for many appends. So the log is fast although every append
// is on disk before it is acknowledged. Readers read the file a page at a time, and disturb nobody; followers
// that keep up are served from memory.
//
// An auditor may open the file with sqlite3 while the server runs: SELECT * FROM history.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Log is an eventstore.Log in an SQLite file. Its envelopes share memory with its readers: neither the bytes
// of an event that was appended nor those of one that was read may be changed.
type Log struct {
	queue   queue
	recent  *ring
	readers *readers
	ended   chan struct{} // closed when the committer has ended
	lock    *fileLock
	close   sync.Once
	closing error
}

// Options tune a log. The zero value is good.
type Options struct {
	Streams int          // how many streams' heads and names are remembered; 32,768 if zero
	Recent  int          // how many bytes of the newest events are kept in memory for followers; 8 MiB if zero
	Readers int          // how many readers may read the file at once; 4 if zero
	Observe func(Commit) // is told of every commit, by the committer: it must be quick; none if nil
	Logger  *slog.Logger // slog.Default() if nil
}

// A Commit is what one transaction of the committer did.
type Commit struct {
	Appends   int           // that were waiting, and are answered now
	Conflicts int           // how many of them had been overtaken
	Events    int           // written
	Bytes     int           // of the events' data
	Took      time.Duration // from taking the appends to their answers
	Sync      time.Duration // how much of it the disk took
	Err       error         // nil if the events are durable
}

// The bounds of one append, and of one commit.
const (
	largestEvent = 64 << 20 // bytes
	largestGroup = 1000     // events, unless one append has more
)

// Open opens the log in the file at path, which it makes if there is none. A second process that opens the same
// log gets an error. Close ends the log.
func Open(ctx context.Context, path string, options Options) (*Log, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	options.fill()
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	l, err := open(path, options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the log %s: %w", path, err), lock.Close())
	}
	l.lock = lock
	return l, nil
}

func (o *Options) fill() {
	if o.Streams == 0 {
		o.Streams = 32 << 10
	}
	if o.Recent == 0 {
		o.Recent = 8 << 20
	}
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

func open(path string, options Options) (*Log, error) {
	c, err := openCommitter(path, options)
	if err != nil {
		return nil, err
	}
	readers, err := openReaders(path, options)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	l := &Log{readers: readers, recent: newRing(options.Recent, c.head), ended: make(chan struct{})}
	l.queue.init()
	c.recent = l.recent
	go func() {
		defer close(l.ended)
		l.closing = c.run(&l.queue)
	}()
	return l, nil
}

// Close commits what is waiting, ends all followers, and closes the file. Appends that come later get
// eventstore.ErrClosed. A second Close does nothing.
func (l *Log) Close() error {
	l.close.Do(func() {
		l.recent.close()
		err := l.readers.close() // before the committer's: the last to close, who may write, empties the write-ahead log
		l.queue.close()
		<-l.ended
		l.closing = errors.Join(err, l.closing, l.lock.Close())
	})
	return l.closing
}

// Head returns the position of the last event, 0 if there is none.
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return l.recent.position()
}

// Append adds events to the stream; see eventstore.Log. If ctx ends while the append is being written, its
// outcome is unknown.
func (l *Log) Append(ctx context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	if len(events) == 0 {
		return nil
	}
	if err := check(stream, expected, events); err != nil {
		return fmt.Errorf("append to %s: %w", stream, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p := &pending{stream: stream, expected: expected, events: slices.Clone(events), done: make(chan error, 1)}
	if err := l.queue.put(p); err != nil {
		return err
	}
	select {
	case err := <-p.done:
		return p.answer(events, err)
	case <-ctx.Done():
		p.withdraw()
		return ctx.Err()
	}
}

// check refuses what no log could keep.
func check(stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	if s, err := eventstore.ParseStream(stream.String()); err != nil || s != stream {
		return fmt.Errorf("%q is no kind of stream: want lower-case letters", stream.Kind)
	}
	if expected < eventstore.NoStream {
		return fmt.Errorf("no stream can have version %d", expected)
	}
	for i := range events {
		if events[i].ID.IsZero() {
			return errors.New("an event has no id")
		}
		if n := size(&events[i]); n > largestEvent {
			return fmt.Errorf("an event of %d bytes is too large: want at most %d", n, largestEvent)
		}
	}
	return nil
}

// size returns how many bytes of data an envelope carries.
func size(e *eventstore.Envelope) int {
	return len(e.Data) + len(e.Personal) + len(e.Secret) + len(e.Evidence)
}

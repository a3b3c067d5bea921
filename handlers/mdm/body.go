package mdm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// What a body takes at first, and the largest that is kept for the next message, in bytes. Most messages have less
// than a kilobyte, lists of applications some 15.
const (
	firstBody = 4 << 10
	pooled    = 128 << 10
)

// A body of more than large bytes waits until fewer than largeAtOnce others are in memory: each may take several
// times its size until it is answered.
const (
	large       = 512 << 10
	largeAtOnce = 8
)

var (
	errTooLarge  = errors.New("the message is longer than this server takes")
	errBrokenOff = errors.New("the message ended before it was complete")
)

// bodies reads messages into memory that is used again.
type bodies struct {
	pool  sync.Pool
	large chan struct{} // holds one element for each large body in memory
}

func (b *bodies) init() { b.large = make(chan struct{}, largeAtOnce) }

// A body is a message as it came. Its bytes are lent until it is released.
type body struct {
	bytes []byte
	large bool
}

// read returns the request's body, unless it is longer than most. If it says so itself it is not read at all.
// Memory grows with what has come, not with what is promised.
func (b *bodies) read(r *http.Request, most int64) (body, error) {
	if r.ContentLength > most {
		return body{}, errTooLarge
	}
	in := http.MaxBytesReader(nil, r.Body, most)
	buf := bytes.NewBuffer(b.get())
	if r.ContentLength > 0 {
		buf.Grow(int(min(r.ContentLength, pooled/2)) + bytes.MinRead)
	}
	var read body
	_, err := buf.ReadFrom(io.LimitReader(in, large))
	if err == nil && buf.Len() == large {
		if err = b.wait(r.Context()); err == nil {
			read.large = true
			_, err = buf.ReadFrom(in)
		}
	}
	read.bytes = buf.Bytes()
	if err == nil {
		return read, nil
	}
	b.release(read)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return body{}, errTooLarge
	}
	return body{}, errBrokenOff
}

// wait returns when one more large body may be in memory, or ctx ends.
func (b *bodies) wait(ctx context.Context) error {
	select {
	case b.large <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bodies) get() []byte {
	if kept, ok := b.pool.Get().(*[]byte); ok {
		return (*kept)[:0]
	}
	return make([]byte, 0, firstBody)
}

// release takes a body back. Nobody may look at it any more.
func (b *bodies) release(old body) {
	if old.large {
		<-b.large
	}
	if cap(old.bytes) > 0 && cap(old.bytes) <= pooled {
		kept := old.bytes[:0]
		b.pool.Put(&kept)
	}
}

// sample returns the beginning of the message, whether its body was read or not.
func (r *request) sample(most int) []byte {
	if r.body.bytes != nil {
		return r.body.bytes[:min(len(r.body.bytes), most)]
	}
	start, _ := io.ReadAll(io.LimitReader(r.http.Body, int64(most))) // what could be read is the sample
	return start
}

// size returns the message's size in bytes, -1 if it was not read and did not say.
func (r *request) size() int {
	if r.body.bytes != nil {
		return len(r.body.bytes)
	}
	return int(r.http.ContentLength)
}

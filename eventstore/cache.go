package eventstore

import (
	"container/list"
	"context"
	"sync"
)

// A cache keeps folded states, the most recently used ones, within a bound of bytes.
type cache[S any] struct {
	mu    sync.Mutex
	bound int
	used  int
	byID  map[string]*list.Element
	order *list.List // most recent first; values are *kept[S]
	drops int        // how often something was dropped
}

type entry[S any] struct {
	state   S
	version int64
}

type kept[S any] struct {
	id   string
	size int
	entry[S]
}

func newCache[S any](bound int) *cache[S] {
	return &cache[S]{bound: bound, byID: map[string]*list.Element{}, order: list.New()}
}

func (c *cache[S]) get(id string) (entry[S], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.byID[id]
	if !ok {
		return entry[S]{}, false
	}
	c.order.MoveToFront(el)
	return el.Value.(*kept[S]).entry, true
}

// mark returns a mark for putSince, to be taken before the log is read.
func (c *cache[S]) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drops
}

// putSince keeps a state that was read from the log, unless something was dropped since the mark: what was read
// may be the very state that is not to be trusted any more.
func (c *cache[S]) putSince(mark int, id string, e entry[S], size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops == mark {
		c.keep(id, e, size)
	}
}

// put keeps the state.
func (c *cache[S]) put(id string, e entry[S], size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(id, e, size)
}

// keep keeps the state unless a newer one is kept already: a reader that was slow must not undo a writer. A state
// that is larger than all that may be kept is not kept, so that it does not drive out all others.
func (c *cache[S]) keep(id string, e entry[S], size int) {
	if el, ok := c.byID[id]; ok {
		k := el.Value.(*kept[S])
		if e.version < k.version {
			return
		}
		c.used += size - k.size
		k.entry, k.size = e, size
		c.order.MoveToFront(el)
	} else {
		c.byID[id] = c.order.PushFront(&kept[S]{id, size, e})
		c.used += size
	}
	if size > c.bound {
		c.remove(c.byID[id])
	}
	for c.used > c.bound && c.order.Len() > 0 {
		c.remove(c.order.Back())
	}
}

func (c *cache[S]) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops++
	if el, ok := c.byID[id]; ok {
		c.remove(el)
	}
}

func (c *cache[S]) remove(el *list.Element) {
	k := el.Value.(*kept[S])
	c.order.Remove(el)
	delete(c.byID, k.id)
	c.used -= k.size
}

// locks hands out one lock per id, which exists only while somebody wants it.
type locks struct {
	mu   sync.Mutex
	byID map[string]*idLock
}

type idLock struct {
	wanted int
	held   chan struct{} // holds one element while locked
}

func newLocks() *locks { return &locks{byID: map[string]*idLock{}} }

// lock waits for the id's lock or the end of ctx.
func (l *locks) lock(ctx context.Context, id string) (unlock func(), err error) {
	l.mu.Lock()
	one := l.byID[id]
	if one == nil {
		one = &idLock{held: make(chan struct{}, 1)}
		l.byID[id] = one
	}
	one.wanted++
	l.mu.Unlock()
	select {
	case one.held <- struct{}{}:
		return func() { <-one.held; l.leave(id, one) }, nil
	case <-ctx.Done():
		l.leave(id, one)
		return nil, ctx.Err()
	}
}

func (l *locks) leave(id string, one *idLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one.wanted--; one.wanted == 0 {
		delete(l.byID, id)
	}
}

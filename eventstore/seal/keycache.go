package seal

import (
	"container/list"
	"sync"
)

// A keyCache keeps the data keys of the subjects used most recently.
type keyCache struct {
	mu    sync.Mutex
	bound int
	byID  map[string]*list.Element
	order *list.List // most recent first; values are *cachedKeys
}

type cachedKeys struct {
	subject string
	keys    DataKeys
}

func newKeyCache(bound int) *keyCache {
	return &keyCache{bound: bound, byID: map[string]*list.Element{}, order: list.New()}
}

func (c *keyCache) get(subject string) (DataKeys, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.byID[subject]
	if !ok {
		return DataKeys{}, false
	}
	c.order.MoveToFront(el)
	return el.Value.(*cachedKeys).keys, true
}

func (c *keyCache) put(subject string, keys DataKeys) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.byID[subject]; ok {
		el.Value.(*cachedKeys).keys = keys
		c.order.MoveToFront(el)
		return
	}
	c.byID[subject] = c.order.PushFront(&cachedKeys{subject, keys})
	for c.order.Len() > c.bound {
		c.remove(c.order.Back())
	}
}

func (c *keyCache) drop(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.byID[subject]; ok {
		c.remove(el)
	}
}

func (c *keyCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.byID)
	c.order.Init()
}

func (c *keyCache) remove(el *list.Element) {
	c.order.Remove(el)
	delete(c.byID, el.Value.(*cachedKeys).subject)
}

package projections

import (
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/rollcall-mdm/rollcall/domain"
)

// MaxPage is the most that a page can hold.
const MaxPage = 1000

// A Page says which part of a list is wanted, in Relay's words: the First after After, or the Last before
// Before. Cursors are opaque and come from an Edge. The zero Page is the first 50.
type Page struct {
	First  int
	After  string
	Last   int
	Before string
}

// A Listing is one page of a list, in the list's own order whichever way it was asked for.
type Listing[T any] struct {
	Edges       []Edge[T]
	HasNext     bool // more follow after the last edge; known when First was asked for
	HasPrevious bool // more stand before the first edge; known when Last was asked for
}

// An Edge is one entry of a list and where it stands.
type Edge[T any] struct {
	Cursor string
	Node   T
}

// Nodes returns the entries without their cursors.
func (l Listing[T]) Nodes() []T {
	nodes := make([]T, len(l.Edges))
	for i, e := range l.Edges {
		nodes[i] = e.Node
	}
	return nodes
}

// A window is a checked Page: up to n entries in one direction between two places, both exclusive.
type window[C any] struct {
	n             int
	backward      bool
	after, before *C
}

// windowOf checks a page and reads its cursors.
func windowOf[C any](p Page) (window[C], error) {
	w := window[C]{n: p.First, backward: p.Last > 0}
	switch {
	case p.First < 0 || p.Last < 0:
		return w, domain.Refusef(domain.Invalid, "first and last cannot be negative")
	case p.First > 0 && p.Last > 0:
		return w, domain.Refusef(domain.Invalid, "take first or last, not both")
	case w.backward:
		w.n = p.Last
	case w.n == 0:
		w.n = 50
	}
	if w.n > MaxPage {
		return w, domain.Refusef(domain.Invalid, "a page holds at most %d", MaxPage)
	}
	var err error
	if w.after, err = readCursor[C](p.After); err != nil {
		return w, err
	}
	w.before, err = readCursor[C](p.Before)
	return w, err
}

// listing turns up to n+1 entries, read in the window's direction, into a page.
func listing[T, C any](w window[C], found []T, place func(T) C) Listing[T] {
	more := len(found) > w.n
	if more {
		found = found[:w.n]
	}
	if w.backward {
		slices.Reverse(found)
	}
	l := Listing[T]{Edges: make([]Edge[T], len(found))}
	l.HasNext = more && !w.backward || w.backward && w.before != nil
	l.HasPrevious = more && w.backward || !w.backward && w.after != nil
	for i, one := range found {
		l.Edges[i] = Edge[T]{writeCursor(place(one)), one}
	}
	return l
}

func writeCursor(place any) string {
	text, _ := json.Marshal(place) // places are plain values
	return base64.RawURLEncoding.EncodeToString(text)
}

func readCursor[C any](cursor string) (*C, error) {
	if cursor == "" {
		return nil, nil
	}
	place := new(C)
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, place)
	}
	if err != nil {
		return nil, domain.Refusef(domain.Invalid, "the cursor comes from no list of this kind")
	}
	return place, nil
}

package command

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A cutter copies valid JSON and leaves out what is secret.
type cutter struct {
	src     []byte
	pos     int
	dst     []byte
	secrets map[string]json.RawMessage
}

// value copies the value at pos, which has the place s. path is the way to it.
func (c *cutter) value(s *secret, path string) {
	c.blanks()
	from := c.pos
	switch {
	case s.plain, s.suspected && strings.IndexByte("tfn", c.src[from]) >= 0:
		c.skip()
		c.dst = append(c.dst, c.src[from:c.pos]...)
	case s.cut:
		c.skip()
		if c.secrets == nil {
			c.secrets = map[string]json.RawMessage{}
		}
		c.secrets[path] = append(json.RawMessage(nil), c.src[from:c.pos]...)
		c.dst = append(c.dst, `"`+Mask+`"`...)
	case c.src[from] == '{':
		c.dict(s, path)
	case c.src[from] == '[':
		c.array(s, path)
	default:
		c.value(nothing, path)
	}
}

// array copies an array. Each element has the array's own place.
func (c *cutter) array(s *secret, path string) {
	c.copyByte()
	for i := 0; c.more(); i++ {
		c.value(s, path+"["+strconv.Itoa(i)+"]")
	}
	c.copyByte()
}

func (c *cutter) dict(s *secret, path string) {
	if s.items != nil {
		c.item(s, path)
		return
	}
	c.copyByte()
	for c.more() {
		name := c.name()
		c.value(s.at(name), join(path, name))
	}
	c.copyByte()
}

// item copies a dictionary whose secrets depend on its Item. One without an Item, or with several, is taken to have the
// secrets of all.
func (c *cutter) item(s *secret, path string) {
	start, copied := c.pos, len(c.dst)
	var items []string
	c.pos++
	for c.more() {
		name := c.name()
		c.blanks()
		from := c.pos
		c.skip()
		var label string
		if name == "Item" && json.Unmarshal(c.src[from:c.pos], &label) == nil {
			items = append(items, label)
		}
	}
	c.pos, c.dst = start, c.dst[:copied]
	place := s.ofAll()
	if len(items) == 1 {
		place = s.items[items[0]]
		if place == nil {
			place = foreign
		}
	}
	c.dict(place, path)
}

// ofAll returns the place that has the secrets of all items, and knows nothing else.
func (s *secret) ofAll() *secret {
	all := &secret{members: map[string]*secret{}}
	for _, place := range s.items {
		for name, member := range place.members {
			if member.cut {
				all.members[name] = cutting
			}
		}
	}
	return all
}

// name copies a member's name and its colon, and returns the name.
func (c *cutter) name() string {
	from := c.pos
	c.skip()
	quoted := c.src[from:c.pos]
	c.dst = append(c.dst, quoted...)
	c.blanks()
	c.copyByte()
	var name string
	_ = json.Unmarshal(quoted, &name) // it is a valid string
	return name
}

// more moves to the next member or element, over its comma, and reports whether there is one.
func (c *cutter) more() bool {
	c.blanks()
	if c.src[c.pos] == ',' {
		c.copyByte()
		c.blanks()
	}
	return c.src[c.pos] != '}' && c.src[c.pos] != ']'
}

func (c *cutter) copyByte() {
	c.dst = append(c.dst, c.src[c.pos])
	c.pos++
}

func (c *cutter) blanks() {
	for c.pos < len(c.src) && strings.IndexByte(" \t\r\n", c.src[c.pos]) >= 0 {
		c.pos++
	}
}

// skip moves behind the value at pos.
func (c *cutter) skip() {
	for depth := 0; c.pos < len(c.src); {
		switch c.src[c.pos] {
		case '"':
			c.text()
		case '{', '[':
			depth++
			c.pos++
		case '}', ']':
			depth--
			c.pos++
		case ',', ':', ' ', '\t', '\r', '\n':
			c.pos++
			continue
		default:
			c.word()
		}
		if depth == 0 {
			return
		}
	}
}

// text moves behind a string.
func (c *cutter) text() {
	for c.pos++; c.src[c.pos] != '"'; c.pos++ {
		if c.src[c.pos] == '\\' {
			c.pos++
		}
	}
	c.pos++
}

// word moves behind a number, true, false or null.
func (c *cutter) word() {
	for c.pos < len(c.src) && strings.IndexByte(",:]} \t\r\n", c.src[c.pos]) < 0 {
		c.pos++
	}
}

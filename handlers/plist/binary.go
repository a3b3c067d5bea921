package plist

import (
	"encoding/binary"
	"slices"
)

// A binaryReader reads Apple's binary form, version 00: objects, a table of their offsets, a trailer. Whatever the
// bytes say, it reads inside the body, meets no object inside itself, and writes no more than its limit.
type binaryReader struct {
	writer
	src   []byte
	limit int // the most that dst may grow to, in bytes

	count   int // objects
	table   int // where their offsets are, and where they themselves end
	width   int // of an offset, in bytes
	refs    int // width of a reference to an object, in bytes
	parents []int
}

const (
	magic   = "bplist00"
	trailer = 32 // its size in bytes
)

// maxGrowth is the most JSON that a binary property list may make. Strings that are used often are written once
// in the binary form; nothing that a device sends comes near this.
func maxGrowth(body []byte) int { return min(16*len(body)+4096, 64<<20) }

func (r *binaryReader) fail(what string, at int) error { return &Error{what, at} }

func (r *binaryReader) document() error {
	top, err := r.trailer()
	if err != nil {
		return err
	}
	_, err = r.object(top, 0)
	return err
}

// trailer reads the trailer and returns the number of the root.
func (r *binaryReader) trailer() (top int, err error) {
	end := len(r.src) - trailer
	if end < len(magic)+2 || string(r.src[:len(magic)]) != magic {
		return 0, r.fail("it is too short, or of a version that we do not read", 0)
	}
	t := r.src[end:]
	r.width, r.refs = int(t[6]), int(t[7])
	count, root, table := binary.BigEndian.Uint64(t[8:]), binary.BigEndian.Uint64(t[16:]), binary.BigEndian.Uint64(t[24:])
	switch {
	case r.width < 1 || r.width > 8 || r.refs < 1 || r.refs > 4:
		return 0, r.fail("its trailer gives an impossible size", end)
	case count == 0 || count > maxElements || r.refs < 4 && count > 1<<(8*r.refs) || root >= count:
		return 0, r.fail("its trailer gives an impossible count", end)
	case table <= uint64(len(magic)) || table > uint64(end) || table+count*uint64(r.width) != uint64(end):
		return 0, r.fail("its offset table is not where it should be", end)
	case r.width < 8 && table >= 1<<(8*r.width):
		return 0, r.fail("its offsets cannot reach its end", end)
	}
	r.count, r.table = int(count), int(table)
	return int(root), nil
}

// number returns the unsigned number of n bytes at at, which must be inside the body.
func (r *binaryReader) number(at, n int) uint64 {
	var v uint64
	for _, b := range r.src[at : at+n] {
		v = v<<8 | uint64(b)
	}
	return v
}

// object reads one object into dst.
func (r *binaryReader) object(index, depth int) (kind, error) {
	if r.left--; r.left < 0 {
		return none, r.fail("it has too many elements", 0)
	}
	offset := r.number(r.table+index*r.width, r.width)
	if offset < uint64(len(magic)) || offset >= uint64(r.table) {
		return none, r.fail("an object stands outside the body", r.table+index*r.width)
	}
	at := int(offset)
	k, err := r.tagged(at, index, depth)
	if err == nil && len(r.dst) > r.limit {
		err = r.fail("it unfolds to too much", at)
	}
	return k, err
}

// tagged reads the object whose tag stands at at.
func (r *binaryReader) tagged(at, index, depth int) (kind, error) {
	tag := r.src[at]
	switch tag >> 4 {
	case 0x0:
		if tag != 0x08 && tag != 0x09 {
			break
		}
		r.boolean(tag == 0x09)
		return booleanKind, nil
	case 0x1:
		return integerKind, r.binaryInteger(at)
	case 0x2, 0x3:
		return r.float(at)
	case 0x4, 0x5, 0x6:
		return r.bytes(at)
	case 0xA, 0xD:
		if depth == maxDepth || slices.Contains(r.parents, index) {
			return none, r.fail("it is nested too deeply, or in itself", at)
		}
		r.parents = append(r.parents, index)
		k, err := r.container(at, depth)
		r.parents = r.parents[:len(r.parents)-1]
		return k, err
	}
	return none, r.fail("an object has no place in a property list", at)
}

// container reads an array or a dictionary.
func (r *binaryReader) container(at, depth int) (kind, error) {
	per := 1
	if r.src[at]>>4 == 0xD {
		per = 2 // a key and a value
	}
	first, count, err := r.counted(at, per*r.refs)
	if err != nil {
		return none, err
	}
	if r.src[at]>>4 == 0xA {
		return arrayKind, r.binaryArray(first, count, depth)
	}
	return dictKind, r.binaryDict(first, count, depth)
}

func (r *binaryReader) binaryArray(first, count, depth int) error {
	r.dst = append(r.dst, '[')
	for i := range count {
		if i > 0 {
			r.dst = append(r.dst, ',')
		}
		if _, err := r.referred(first+i*r.refs, depth+1); err != nil {
			return err
		}
	}
	r.dst = append(r.dst, ']')
	return nil
}

func (r *binaryReader) binaryDict(first, count, depth int) error {
	r.dst = append(r.dst, '{')
	set := r.openKeys()
	for i := range count {
		if i > 0 {
			r.dst = append(r.dst, ',')
		}
		if err := r.binaryMember(first+i*r.refs, first+(count+i)*r.refs, depth, &set); err != nil {
			return err
		}
	}
	r.closeKeys(set)
	r.dst = append(r.dst, '}')
	return nil
}

// binaryMember reads the key and the value to which references stand at key and value.
func (r *binaryReader) binaryMember(key, value, depth int, set *keySet) error {
	from := len(r.dst)
	k, err := r.referred(key, depth+1)
	switch {
	case err != nil:
		return err
	case k != stringKind:
		return r.fail("a key is no string", key)
	case !r.add(set, from):
		return r.fail("a key comes twice", key)
	}
	to := len(r.dst)
	r.dst = append(r.dst, ':')
	if k, err = r.referred(value, depth+1); err != nil {
		return err
	}
	if depth == 0 && r.top != nil {
		r.top.note(k, from, to, len(r.dst))
	}
	return nil
}

// referred reads the object to which a reference stands at at.
func (r *binaryReader) referred(at, depth int) (kind, error) {
	index := r.number(at, r.refs)
	if index >= uint64(r.count) {
		return none, r.fail("a reference leads nowhere", at)
	}
	return r.object(int(index), depth)
}

// counted returns where the content of the object at at begins and how many units it has, each of size bytes. All
// of it is inside the body.
func (r *binaryReader) counted(at, size int) (first, count int, err error) {
	first, units := at+1, uint64(r.src[at]&0xF)
	if units == 0xF {
		if first >= r.table || r.src[first]>>4 != 1 || r.src[first]&0xF > 3 {
			return 0, 0, r.fail("a length is malformed", at)
		}
		n := 1 << (r.src[first] & 0xF)
		if first+1+n > r.table {
			return 0, 0, r.fail("it is cut off", at)
		}
		units = r.number(first+1, n)
		first += 1 + n
	}
	if units > uint64(r.table-first)/uint64(size) {
		return 0, 0, r.fail("an object is longer than the body", at)
	}
	return first, int(units), nil
}

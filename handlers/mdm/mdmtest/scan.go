package mdmtest

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"howett.net/plist"
)

// A Command is what a server has handed out.
type Command struct {
	UUID        string
	RequestType string
	Keys        map[string]any // the keys of Command; RequestType is one of them
}

// decodeCommand reads a command in full.
func decodeCommand(body []byte) (Command, error) {
	var c struct {
		CommandUUID string
		Command     map[string]any
	}
	if !bytes.HasPrefix(body, []byte("<?xml")) {
		return Command{}, errors.New("the command is no property list in XML")
	}
	if _, err := plist.Unmarshal(body, &c); err != nil {
		return Command{}, fmt.Errorf("the command is no property list: %w", err)
	}
	kind, _ := c.Command["RequestType"].(string)
	if c.CommandUUID == "" || kind == "" {
		return Command{}, errors.New("the command lacks CommandUUID or RequestType")
	}
	return Command{c.CommandUUID, kind, c.Command}, nil
}

// seed makes fingerprints comparable between the devices of one process.
var seed = maphash.MakeSeed()

// glance finds the UUID of a command without decoding it, and a fingerprint of all the rest: two commands with the
// same fingerprint ask for the same. It is not ok if the command is not plain Apple XML.
func glance(body []byte) (uuid string, fingerprint uint64, ok bool) {
	from, to := stringOf(body, "CommandUUID")
	if from < 0 || !bytes.HasPrefix(body, []byte("<?xml")) || !bytes.HasSuffix(bytes.TrimSpace(body), []byte("</plist>")) {
		return "", 0, false
	}
	var h maphash.Hash
	h.SetSeed(seed)
	_, _ = h.Write(body[:from]) // a Hash never fails
	_ = h.WriteByte(0)
	_, _ = h.Write(body[to:])
	return string(body[from:to]), h.Sum64(), true
}

// A known command is one that some device of the fleet has met before. Nobody may change its keys.
type known struct {
	requestType string
	keys        map[string]any
}

// understand returns the UUID of a command, and what it asks for. It decodes it only if no device of the fleet has met
// one that differs in nothing but the UUID.
func (s *shelf) understand(body []byte) (uuid string, k *known, err error) {
	uuid, print, plain := glance(body)
	if plain {
		s.mu.Lock()
		k = s.prints[print]
		s.mu.Unlock()
		if k != nil {
			return uuid, k, nil
		}
	}
	c, err := decodeCommand(body)
	if err != nil {
		return "", nil, err
	}
	k = s.know(c.RequestType, c.Keys)
	if plain && uuid == c.UUID && questions[c.RequestType] {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.prints == nil {
			s.prints = map[uint64]*known{}
		}
		s.prints[print] = k
	}
	return c.UUID, k, nil
}

// know returns the one that stands for all commands with these keys. Only questions are remembered.
func (s *shelf) know(requestType string, keys map[string]any) *known {
	k := &known{requestType, keys}
	if !questions[requestType] {
		return k
	}
	name := string(text(keys))
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.known[name]; ok {
		return before
	}
	if s.known == nil {
		s.known = map[string]*known{}
	}
	s.known[name] = k
	return k
}

// stringOf returns where the string value of the first such key stands, or -1.
func stringOf(body []byte, key string) (from, to int) {
	at := bytes.Index(body, []byte("<key>"+key+"</key>"))
	if at < 0 {
		return -1, -1
	}
	from = at + len(key) + len("<key></key>")
	for from < len(body) && (body[from] == '\n' || body[from] == '\t' || body[from] == ' ' || body[from] == '\r') {
		from++
	}
	if !bytes.HasPrefix(body[from:], []byte("<string>")) {
		return -1, -1
	}
	from += len("<string>")
	n := bytes.IndexByte(body[from:], '<')
	if n <= 0 {
		return -1, -1
	}
	return from, from + n
}

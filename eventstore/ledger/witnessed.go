package ledger

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// notedLine finds the checkpoint in a line of syslog, as a witness writes it.
var notedLine = regexp.MustCompile(`\bnote=([A-Za-z0-9+/]+=*)`)

// ParseWitnessed reads the checkpoints in a file that a witness kept: one or several signed notes, as they are, with an
// empty line between them or not, or lines of syslog. It checks no signature.
func ParseWitnessed(text []byte) (all [][]byte, err error) {
	var one bytes.Buffer
	signed := false
	end := func() {
		if signed {
			all = append(all, bytes.Clone(one.Bytes()))
		}
		one.Reset()
		signed = false
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if m := notedLine.FindStringSubmatch(line); m != nil {
			if c, err := base64.StdEncoding.DecodeString(m[1]); err == nil {
				all = append(all, c)
			}
			continue
		}
		signature := strings.HasPrefix(line, "— ")
		if signed && !signature {
			end()
		}
		if line == "" && one.Len() == 0 {
			continue
		}
		one.WriteString(line + "\n")
		signed = signature
	}
	end()
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("there is no checkpoint in it: want signed notes as the log's witness keeps them")
	}
	return all, nil
}

// witnesses compares the log of the bundle with the checkpoints that somebody kept. Its tiles are those of the whole
// log, so that the root over any beginning of it can be told. Of several, the first that differs bounds the place.
func (v *verifier) witnesses() error {
	if !v.believed || len(v.witnessed) == 0 {
		return nil
	}
	if !v.rooted {
		v.find(0, CheckpointFile, "the tiles are not the signed ones: nothing can be compared with a checkpoint that was kept elsewhere")
		return nil
	}
	var edge Edge
	var buf [64]tlog.Hash
	sound := int64(0) // so many events are as a witness saw them
	for _, c := range v.kept() {
		for n := edge.Size(); n < min(c.Size, v.signed.Size); n++ {
			edge.Append(buf[:0], tlog.Hash(v.leaves[n*tlog.HashSize:][:tlog.HashSize]))
		}
		switch {
		case c.Size > v.signed.Size:
			v.find(0, CheckpointFile, "a witness saw %d events, and this log has %d: it was set back to an older state, or the bundle is older than the witness", c.Size, v.signed.Size)
			return nil
		case edge.Root() != c.Root:
			v.find(0, CheckpointFile, "a witness saw other events: one or more of positions %d to %d were changed since", min(sound, c.Size-1)+1, c.Size)
			return nil
		}
		sound = c.Size
		v.agreed++
	}
	return nil
}

// kept opens the checkpoints that somebody kept, the smallest tree first.
func (v *verifier) kept() (list []Checkpoint) {
	for _, signed := range v.witnessed {
		c, err := OpenCheckpoint(signed, v.public)
		if err != nil {
			v.find(0, CheckpointFile, "a checkpoint that was kept elsewhere cannot be compared: %s", err)
			continue
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
	return list
}

package main

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
)

// Where one piece of a message ends and the next one may be the same again: between the entries of a list.
var joints = regexp.MustCompile(`\},\{|\},"[^"{]*":\{|</dict>\s*(?:<key>[^<]*</key>\s*)?<dict>|"\],\["`)

// apps are identifiers, also where they are keys.
var apps = regexp.MustCompile(`\b(?:com|us|org|net|notion|tv)\.[\w.-]+`)

var said = regexp.MustCompile(`"[^"\\]*"([\],}])|:\d+|(<(?:string|integer|data|real|date)>)[^<]+(</)`)

// history returns the text that messages are likely to repeat: their pieces with nothing in them, each once, the most
// frequent ones last, where they are the cheapest to point at.
func history(samples [][]byte, apples map[string]bool) []byte {
	count := map[string]int{}
	var order []string
	for _, s := range samples {
		for _, piece := range pieces(said.ReplaceAllFunc(apps.ReplaceAll(s, nil), func(v []byte) []byte { return hollow(v, apples) })) {
			if count[piece] == 0 {
				order = append(order, piece)
			}
			count[piece]++
		}
	}
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	var text []byte
	for _, piece := range order {
		if len(text)+len(piece) > size || bytes.Contains(text, []byte(piece)) {
			continue
		}
		text = append([]byte(piece), text...)
	}
	return text
}

// hollow takes the words out of a value, unless they are Apple's.
func hollow(v []byte, apples map[string]bool) []byte {
	if word := words.Find(bytes.TrimLeft(v, "<string>integdao\"")); apples[string(word)] {
		return v
	}
	m := said.FindSubmatch(v)
	switch {
	case len(m[1]) > 0:
		return append([]byte(`""`), m[1]...)
	case len(m[2]) > 0:
		return append(bytes.Clone(m[2]), m[3]...)
	}
	return []byte(":1")
}

// pieces cuts a message at its joints. Each piece keeps the joint before it.
func pieces(s []byte) (all []string) {
	from := 0
	for _, at := range joints.FindAllIndex(s, -1) {
		if at[0] > from {
			all = append(all, string(s[from:at[0]]))
		}
		from = at[0]
	}
	return append(all, string(s[from:]))
}

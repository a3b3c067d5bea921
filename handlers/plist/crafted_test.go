package plist_test

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// binaryPlist returns a binary property list of some objects, the first of which is the root.
func binaryPlist(refs byte, objects ...[]byte) []byte {
	out := []byte("bplist00")
	var offsets []byte
	for _, o := range objects {
		offsets = binary.BigEndian.AppendUint32(offsets, uint32(len(out)))
		out = append(out, o...)
	}
	table := len(out)
	out = append(out, offsets...)
	return append(out, trailerOf(4, refs, uint64(len(objects)), 0, uint64(table))...)
}

func trailerOf(width, refs byte, count, root, table uint64) []byte {
	out := []byte{0, 0, 0, 0, 0, 0, width, refs}
	for _, n := range []uint64{count, root, table} {
		out = binary.BigEndian.AppendUint64(out, n)
	}
	return out
}

// message returns an XML property list with content as its root.
func message(content string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">` + content + "</plist>\n")
}

// sharedArrays returns levels of arrays, each of which names the next one twice: 2^levels values in a few bytes.
func sharedArrays(levels int) []byte {
	var objects [][]byte
	for i := range levels {
		objects = append(objects, []byte{0xA2, byte(i + 1), byte(i + 1)})
	}
	return binaryPlist(1, append(objects, []byte{0xA0})...)
}

// nestedArrays returns arrays in arrays, in the binary form.
func nestedArrays(depth int) []byte {
	objects := make([][]byte, depth)
	for i := range objects {
		objects[i] = []byte{0xA1, 0, byte((i + 1) >> 16), byte((i + 1) >> 8), byte(i + 1)}
	}
	return binaryPlist(4, append(objects, []byte{0xA0})...)
}

// sharedText returns an array that names one long text many times.
func sharedText(size, times int) []byte {
	text := append([]byte{0x5F, 0x12}, binary.BigEndian.AppendUint32(nil, uint32(size))...)
	text = append(text, bytes.Repeat([]byte("x"), size)...)
	array := append([]byte{0xAF, 0x12}, binary.BigEndian.AppendUint32(nil, uint32(times))...)
	array = append(array, bytes.Repeat([]byte{1}, times)...)
	return binaryPlist(1, array, text)
}

// refused are bodies that kill, fool or burden an unguarded reader.
var refused = map[string][]byte{
	// the binary form
	"a count of 2^36 in 51 bytes":    append([]byte("bplist00\xA0\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"), trailerOf(1, 0, 1<<36, 0, 9)...),
	"a count of 2^36, refs fine":     append([]byte("bplist00\xA0\x08\x00"), trailerOf(1, 4, 1<<36, 0, 9)...),
	"no count":                       append([]byte("bplist00\xA0\x08"), trailerOf(1, 1, 0, 0, 9)...),
	"an array in itself":             append([]byte("bplist00\xA1\x00\x08"), trailerOf(1, 1, 1, 0, 10)...),
	"a dictionary in itself":         binaryPlist(1, []byte{0xD1, 1, 0}, []byte{0x51, 'k'}),
	"2^26 shared arrays":             sharedArrays(26),
	"60,000 nested arrays":           nestedArrays(60_000),
	"65 nested arrays":               nestedArrays(65),
	"200 MB of one shared text":      sharedText(1<<20, 200),
	"a length over the end":          binaryPlist(1, []byte{0x4F, 0x13, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}),
	"a text over the end":            binaryPlist(1, []byte{0x5F, 0x13, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}),
	"UTF-16 over the end":            binaryPlist(1, []byte{0x6F, 0x13, 0x80, 0, 0, 0, 0, 0, 0, 1}),
	"an array over the end":          binaryPlist(4, []byte{0xAF, 0x13, 0x40, 0, 0, 0, 0, 0, 0, 0}),
	"a dictionary over the end":      binaryPlist(4, []byte{0xDF, 0x13, 0x20, 0, 0, 0, 0, 0, 0, 0}),
	"a length of 16 bytes":           binaryPlist(1, append([]byte{0x4F, 0x14}, make([]byte, 16)...)),
	"a length that is no integer":    binaryPlist(1, []byte{0x4F, 0x51, 'x'}),
	"a dictionary into the table":    append([]byte("bplist00\x09\x51a\x51b\xD2\x01\x02"), append([]byte{0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0, 11, 0, 0, 0, 13}, trailerOf(4, 1, 4, 3, 16)...)...),
	"references of 8 bytes":          binaryPlist(8, []byte{0xA1, 0, 0, 0, 0, 0, 0, 0, 1}, []byte{0x09}),
	"a reference far away":           binaryPlist(1, []byte{0xA1, 0xFF}),
	"an integer under -2^63, binary": binaryPlist(1, append([]byte{0x14, 255, 255, 255, 255, 255, 255, 255, 255}, 0, 0, 0, 0, 0, 0, 0, 1)),
	"a reference to nowhere":         binaryPlist(1, []byte{0xA1, 7}),
	"a key that is no text":          binaryPlist(1, []byte{0xD1, 1, 1}, []byte{0x10, 1}),
	"a key twice, binary":            binaryPlist(1, []byte{0xD2, 1, 2, 3, 3}, []byte{0x51, 'k'}, []byte{0x51, 'k'}, []byte{0x09}),
	"a null":                         binaryPlist(1, []byte{0x00}),
	"a set":                          binaryPlist(1, []byte{0xC0}),
	"a UID":                          binaryPlist(1, []byte{0x80, 1}),
	"an integer of 32 bytes":         binaryPlist(1, append([]byte{0x15}, make([]byte, 32)...)),
	"an integer of 65 bits":          binaryPlist(1, append([]byte{0x14, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 8)...)),
	"a real of 2 bytes":              binaryPlist(1, []byte{0x21, 0, 0}),
	"a date of 4 bytes":              binaryPlist(1, []byte{0x32, 0, 0, 0, 0}),
	"a date that is no number":       binaryPlist(1, []byte{0x33, 0x7F, 0xF8, 0, 0, 0, 0, 0, 0}),
	"a date in year 31,688":          binaryPlist(1, binary.BigEndian.AppendUint64([]byte{0x33}, 0x426D1A94A2000000)),
	"half a surrogate":               binaryPlist(1, []byte{0x61, 0xD8, 0x00}),
	"a NUL in UTF-16":                binaryPlist(1, []byte{0x61, 0, 0}),
	"Latin-1 called ASCII":           binaryPlist(1, []byte{0x51, 0xE4}),
	"an offset outside":              append([]byte("bplist00\xA0\x7F"), trailerOf(1, 1, 1, 0, 9)...),
	"an offset into the header":      append([]byte("bplist00\xA0\x00"), trailerOf(1, 1, 1, 0, 9)...),
	"bytes before the trailer":       append([]byte("bplist00\xA0\x08\x00"), trailerOf(1, 1, 1, 0, 9)...),
	"bytes after the trailer":        append(binaryPlist(1, []byte{0xA0}), 0),
	"the binary form cut off":        binaryPlist(1, []byte{0xA0})[:20],
	"another binary version":         bytes.Replace(binaryPlist(1, []byte{0xA0}), []byte("bplist00"), []byte("bplist15"), 1),

	// XML that goes on for ever
	"1 M arrays":           bytes.Repeat([]byte("<array>"), 1_000_000),
	"1 M arrays, a plist":  message(strings.Repeat("<array>", 1_000_000) + strings.Repeat("</array>", 1_000_000)),
	"1 M dictionaries":     message(strings.Repeat("<dict><key>k</key>", 1_000_000)),
	"7 MB of <dict/>":      message("<array>" + strings.Repeat("<dict/>", 1_000_000) + "</array>"),
	"65 arrays":            message(strings.Repeat("<array>", 65) + strings.Repeat("</array>", 65)),
	"200,001 elements":     message("<array>" + strings.Repeat("<true/>", 200_000) + "</array>"),
	"100,000 of two keys":  message("<dict>" + strings.Repeat("<key>a</key><true/><key>b</key><true/>", 50_000) + "</dict>"),
	"an endless comment":   append(message("")[:150], strings.Repeat("<!-- -", 1_000_000)...),
	"an endless reference": message("<string>&" + strings.Repeat("#", 1_000_000) + "</string>"),

	// what is none of Apple's XML
	"nothing":                       {},
	"space":                         []byte(" \n"),
	"OpenStep":                      []byte("{ MessageType = CheckOut; }"),
	"2 M OpenStep arrays":           bytes.Repeat([]byte("("), 2_000_000),
	"JSON":                          []byte(`{"MessageType":"CheckOut"}`),
	"HTML":                          []byte("<!DOCTYPE html><html><body>502</body></html>"),
	"no plist element":              []byte("<dict><key>a</key><true/></dict>"),
	"an empty plist":                message(""),
	"an empty plist tag":            []byte(`<plist version="1.0"/>`),
	"two roots":                     message("<true/><true/>"),
	"an unknown element":            message("<uid>1</uid>"),
	"an attribute":                  message(`<string id="1">a</string>`),
	"a namespace":                   message("<x:string>a</x:string>"),
	"capitals":                      message("<Dict></Dict>"),
	"text between elements":         message("<dict>junk<key>a</key><true/></dict>"),
	"something after the end":       append(message("<true/>"), "<plist/>"...),
	"a NUL after the end":           append(message("<true/>"), 0),
	"a processing instruction":      append([]byte("<?php ?>"), message("<true/>")...),
	"an element in text":            message("<string>a<b>c</b>d</string>"),
	"a string in a string":          message("<string>a<string>c</string></string>"),
	"a string in a key":             message("<dict><key>a<true/></key><true/></dict>"),
	"a key without value":           message("<dict><key>a</key></dict>"),
	"a value without key":           message("<dict><true/></dict>"),
	"a key in an array":             message("<array><key>a</key></array>"),
	"two keys in a row":             message("<dict><key>a</key><key>b</key></dict>"),
	"a key twice":                   message("<dict><key>a</key><true/><key>a</key><false/></dict>"),
	"a key twice, once in entities": message("<dict><key>ab</key><true/><key>&#97;b</key><false/></dict>"),
	"a key twice, deep inside":      message("<dict><key>a</key><array><dict><key>b</key><true/><key>b</key><true/></dict></array></dict>"),
	"a key twice among 1,000":       message("<dict>" + manyKeys(1000) + "<key>key17</key><true/></dict>"),
	"a closing tag of another":      message("<array></dict>"),
	"cut off in a tag":              message("<dict><key>a</ke")[:180],
	"cut off in text":               []byte(`<plist version="1.0"><string>abc`),
	"cut off before its end":        []byte(`<plist version="1.0"><dict>`),
	"text in a boolean":             message("<true>yes</true>"),

	// entities and document types
	"an entity bomb":        []byte(`<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><plist version="1.0"><string>&b;</string></plist>`),
	"an empty subset":       []byte(`<!DOCTYPE plist []><plist version="1.0"><true/></plist>`),
	"a file as an entity":   []byte(`<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]><plist version="1.0"><string>&x;</string></plist>`),
	"an unknown entity":     message("<string>&nbsp;</string>"),
	"a bare ampersand":      message("<string>a & b</string>"),
	"a NUL by reference":    message("<string>&#0;</string>"),
	"half a surrogate &#":   message("<string>&#xD800;</string>"),
	"a reference too large": message("<string>&#x110000;</string>"),
	"an empty reference":    message("<string>&#;</string>"),
	"an endless DOCTYPE":    []byte(`<!DOCTYPE plist PUBLIC "` + strings.Repeat("a", 1000)),
	"]]> in text":           message("<string>a]]>b</string>"),
	"-- in a comment":       message("<!-- a -- b --><true/>"),
	"an endless CDATA":      message("<string><![CDATA[abc</string>"),

	// characters
	"UTF-16 with a mark":    []byte("\xFE\xFF\x00<\x00p\x00l\x00i\x00s\x00t\x00>"),
	"UTF-16, little":        []byte("\xFF\xFE<\x00p\x00l\x00i\x00s\x00t\x00>\x00"),
	"declared UTF-16":       []byte(`<?xml version="1.0" encoding="UTF-16"?><plist version="1.0"><true/></plist>`),
	"declared Latin-1":      []byte("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><plist version=\"1.0\"><string>\xE4</string></plist>"),
	"XML 1.1":               []byte(`<?xml version="1.1"?><plist version="1.0"><true/></plist>`),
	"Latin-1":               message("<string>\xE4</string>"),
	"bad UTF-8":             message("<string>\xC3\x28</string>"),
	"a long way to write /": message("<string>\xC0\xAF</string>"),
	"a surrogate in UTF-8":  message("<string>\xED\xA0\x80</string>"),
	"a NUL":                 message("<string>a\x00b</string>"),
	"an escape":             message("<string>\x1b[31m</string>"),
	"U+FFFE":                message("<string>\uFFFE</string>"),

	// values
	"bad base64":                message("<data>a!==</data>"),
	"base64 without padding":    message("<data>aGk</data>"),
	"base64 for the web":        message("<data>-_-_</data>"),
	"padding in the middle":     message("<data>aGk=aGk=</data>"),
	"padding alone":             message("<data>====</data>"),
	"three signs of padding":    message("<data>a===</data>"),
	"an empty integer":          message("<integer></integer>"),
	"an empty integer, short":   message("<integer/>"),
	"an integer of 30 digits":   message("<integer>123456789012345678901234567890</integer>"),
	"an integer of 2^64":        message("<integer>18446744073709551616</integer>"),
	"an integer under -2^63":    message("<integer>-9223372036854775809</integer>"),
	"an integer with a plus":    message("<integer>+1</integer>"),
	"an integer with two minus": message("<integer>--1</integer>"),
	"an integer with space":     message("<integer> 1</integer>"),
	"a minus alone":             message("<integer>-</integer>"),
	"0x alone":                  message("<integer>0x</integer>"),
	"a word as an integer":      message("<integer>one</integer>"),
	"an empty real":             message("<real/>"),
	"a real too large":          message("<real>1e999</real>"),
	"a word as a real":          message("<real>one</real>"),
	"an empty date":             message("<date/>"),
	"a bad date":                message("<date>yesterday</date>"),
	"30 February":               message("<date>2026-02-30T00:00:00Z</date>"),
	"25 o'clock":                message("<date>2026-01-01T25:00:00Z</date>"),
	"a date in year 10,000":     message("<date>9999-12-31T23:59:59-01:00</date>"),
}

func manyKeys(n int) string {
	var s strings.Builder
	for i := range n {
		s.WriteString("<key>key" + strings.Repeat("i", i%7) + string(rune('a'+i%26)) + decimal(i) + "</key><true/>")
	}
	return s.String() + "<key>key17</key><true/>"
}

func decimal(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + decimal(n%10)
}

// accepted are contents that are read, and what they become.
var accepted = map[string]string{
	"<string>a</string>":                            `"a"`,
	"<string/>":                                     `""`,
	"<string></string>":                             `""`,
	"<string >a</string\n>":                         `"a"`,
	"<string> a\n\tb </string>":                     `" a\n\tb "`,
	"<string>a\r\nb\rc&#13;d</string>":              `"a\nb\nc\rd"`,
	"<string>&lt;&gt;&amp;&quot;&apos;</string>":    `"<>&\"'"`,
	"<string>&#228;&#xE4;&#x1F600;ä😀</string>":      `"ää😀ä😀"`,
	`<string>a"b\c</string>`:                        `"a\"b\\c"`,
	"<string>a<!-- no -->b</string>":                `"ab"`,
	"<string><![CDATA[<b>&amp;\r\n\"]]></string>":   `"<b>&amp;\n\""`,
	"<string>]] > ]&gt;</string>":                   `"]] > ]>"`,
	"<string>\u2028\u007f\ufffd\U0010FFFD</string>": "\"\u2028\u007f\ufffd\U0010FFFD\"",
	"<true/>":                                          `true`,
	"<false />":                                        `false`,
	"<true></true>":                                    `true`,
	"<true><!-- -->\n</true>":                          `true`,
	"<integer>0</integer>":                             `0`,
	"<integer>-1</integer>":                            `-1`,
	"<integer>007</integer>":                           `7`,
	"<integer>-0</integer>":                            `0`,
	"<integer>18446744073709551615</integer>":          `18446744073709551615`,
	"<integer>-9223372036854775808</integer>":          `-9223372036854775808`,
	"<integer>0xFf</integer>":                          `255`,
	"<integer>-0x10</integer>":                         `-16`,
	"<integer>&#49;<!-- -->2</integer>":                `12`,
	"<real>1.50</real>":                                `1.5`,
	"<real>-0.0</real>":                                `-0`,
	"<real>1e-7</real>":                                `1e-07`,
	"<real>1e21</real>":                                `1e+21`,
	"<real>0.8399999737739563</real>":                  `0.8399999737739563`,
	"<real>nan</real>":                                 `"NaN"`,
	"<real>+infinity</real>":                           `"Infinity"`,
	"<real>-inf</real>":                                `"-Infinity"`,
	"<data>aGk=</data>":                                `"aGk="`,
	"<data>\n\taG\n\tk=\r\n </data>":                   `"aGk="`,
	"<data>aGl=</data>":                                `"aGk="`, // bits that belong to no byte
	"<data/>":                                          `""`,
	"<data> </data>":                                   `""`,
	"<data>aA&#61;=</data>":                            `"aA=="`,
	"<date>2026-11-22T09:00:00Z</date>":                `"2026-11-22T09:00:00Z"`,
	"<date>2024-02-29T09:00:00Z</date>":                `"2024-02-29T09:00:00Z"`,
	"<date>2026-11-22T10:00:00.5+01:00</date>":         `"2026-11-22T09:00:00.5Z"`,
	"<date>0001-01-01T00:00:00Z</date>":                `"0001-01-01T00:00:00Z"`,
	"<array/>":                                         `[]`,
	"<array> </array>":                                 `[]`,
	"<array><true/><!-- x --><array/> <dict/></array>": `[true,[],{}]`,
	"<dict/>":                                          `{}`,
	"<dict><key>b</key><true/><key>a</key> <string>x</string><key/><dict/></dict>":   `{"b":true,"a":"x","":{}}`,
	"<dict><key>a&amp;\"</key><true/><key>a</key><true/></dict>":                     `{"a&\"":true,"a":true}`,
	"<dict><key>CF$UID</key><integer>1</integer></dict>":                             `{"CF$UID":1}`,
	"<dict><key>a</key><dict><key>a</key><true/></dict><key>b</key><array/></dict> ": `{"a":{"a":true},"b":[]}`,
}

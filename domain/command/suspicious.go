package command

import (
	"bytes"
	"strings"
	"sync"
)

// What names of secrets hold: pieces that say it wherever they stand, and words that say it where they stand alone
// (a Keynote is no key, and who is pinned has no PIN).
var (
	secretPieces = []string{
		"password", "passwd", "passcode", "passphrase", "secret", "token", "credential", "apikey", "privatekey", "recoverykey",
		"bypasscode", "unlockcode", "redemptioncode",
	}
	secretWords = map[string]bool{"key": true, "keys": true, "pin": true, "pins": true, "pwd": true, "psk": true, "puk": true, "otp": true}
)

// suspicious reports whether a name that the catalogue does not know says that it is a secret's.
func suspicious(name string) bool {
	lower := strings.ToLower(name)
	for _, piece := range secretPieces {
		if strings.Contains(lower, piece) {
			return true
		}
	}
	if strings.Contains(name, "PIN") {
		return true
	}
	for from := 0; from < len(name); {
		to := wordEnd(name, from)
		if secretWords[lower[from:min(to, len(lower))]] {
			return true
		}
		from = max(to, from+1)
	}
	return false
}

// wordEnd returns where the word ends that begins at from: RecoveryKeyCMS is Recovery, Key, CMS.
func wordEnd(name string, from int) int {
	letter := func(i int) bool { return name[i] >= 'a' && name[i] <= 'z' || name[i] >= 'A' && name[i] <= 'Z' }
	capital := func(i int) bool { return name[i] >= 'A' && name[i] <= 'Z' }
	to := from
	for to < len(name) && letter(to) && (to == from || !capital(to) || capital(to-1)) {
		to++
	}
	return to
}

// harmless are all names of the catalogue that are not named like a secret, so that most names are looked at no further.
var harmless = sync.OnceValue(func() map[string]struct{} {
	names := map[string]struct{}{}
	for _, s := range catalog() {
		for _, k := range append(append([]Key(nil), s.Request...), s.Response...) {
			for segment := range strings.SplitSeq(k.Path, ".") {
				if name, _, _ := strings.Cut(segment, "["); !suspicious(name) {
					names[name] = struct{}{}
				}
			}
		}
	}
	return names
})

// hints reports whether some name in valid JSON might be a secret's. It looks at names alone, wherever they stand, and
// may be wrong in saying so, never in denying it.
func hints(keys []byte) bool {
	known := harmless()
	var seen [64][]byte // names that were looked at: lists say the same ones again and again
	for from := 0; ; {
		colon := bytes.IndexByte(keys[from:], ':')
		if colon < 0 {
			return false
		}
		end := from + colon
		from = end + 1
		for end > 0 && strings.IndexByte(" \t\r\n", keys[end-1]) >= 0 {
			end--
		}
		if end < 2 || keys[end-1] != '"' {
			continue
		}
		start := bytes.LastIndexByte(keys[:end-1], '"') + 1
		name := keys[start : end-1]
		slot := &seen[(len(name)*7+int(keys[start])+int(keys[end-2]))%len(seen)]
		if bytes.Equal(*slot, name) && len(name) > 0 && start > 1 && keys[start-2] != '\\' {
			continue
		}
		if _, is := known[string(name)]; is && start > 1 && keys[start-2] != '\\' {
			*slot = name
			continue
		}
		if start < 2 || keys[start-2] == '\\' || bytes.IndexByte(name, '\\') >= 0 || suspicious(string(name)) {
			return true
		}
	}
}

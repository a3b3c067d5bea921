package mdm

import (
	"bufio"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Digests are the passwords of network users as HTTP's digest needs them. They are as good as the passwords
// themselves within their realm.
type Digests struct {
	realm string
	users map[string]string // MD5 of user:realm:password, hex
}

// ReadDigests reads lines of user:realm:digest, as Apache's htdigest writes them. All must have the same realm.
func ReadDigests(r io.Reader) (*Digests, error) {
	d := &Digests{users: map[string]string{}}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Split(line, ":")
		if len(fields) != 3 || len(fields[2]) != 2*md5.Size || strings.Contains(fields[1], `"`) {
			return nil, fmt.Errorf("line %d is not user:realm:digest, as htdigest writes it", n)
		}
		if d.realm != "" && d.realm != fields[1] {
			return nil, fmt.Errorf("line %d has another realm than those above it", n)
		}
		d.realm, d.users[fields[0]] = fields[1], strings.ToLower(fields[2])
	}
	if len(d.users) == 0 && lines.Err() == nil {
		return nil, errors.New("it names no user")
	}
	return d, lines.Err()
}

// challenge is the DigestChallenge with a nonce.
func (d *Digests) challenge(nonce string) string {
	return fmt.Sprintf(`Digest nonce="%s",realm="%s"`, nonce, d.realm)
}

// A digest is a DigestResponse.
type digest struct{ user, realm, nonce, uri, response, qop, count, ours string }

var errNoDigest = errors.New("the DigestResponse is no digest of HTTP's")

// readDigest reads a DigestResponse. Its error quotes nothing.
func readDigest(text string) (digest, error) {
	rest, is := strings.CutPrefix(text, "Digest ")
	if !is || len(text) > 4096 {
		return digest{}, errNoDigest
	}
	var d digest
	fields := map[string]*string{
		"username": &d.user, "realm": &d.realm, "nonce": &d.nonce, "uri": &d.uri, "response": &d.response,
		"qop": &d.qop, "nc": &d.count, "cnonce": &d.ours,
	}
	for rest = strings.TrimSpace(rest); rest != ""; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			return digest{}, errNoDigest
		}
		var value string
		if quoted, is := strings.CutPrefix(after, `"`); is {
			if value, after, ok = strings.Cut(quoted, `"`); !ok {
				return digest{}, errNoDigest
			}
			_, after, _ = strings.Cut(after, ",")
		} else {
			value, after, _ = strings.Cut(after, ",")
		}
		if field := fields[strings.ToLower(strings.TrimSpace(name))]; field != nil {
			*field = strings.TrimSpace(value)
		}
		rest = strings.TrimSpace(after)
	}
	if d.user == "" || d.nonce == "" || d.response == "" {
		return digest{}, errNoDigest
	}
	return d, nil
}

// right reports whether the response proves the user's password. Source: RFC 2617, section 3.2.2; Apple's devices
// send PUT and leave qop out.
func (d *Digests) right(said digest) bool {
	password, known := d.users[said.user]
	if !known || said.realm != d.realm {
		return false
	}
	of := md5Hex("PUT:" + said.uri)
	want := md5Hex(password + ":" + said.nonce + ":" + of)
	if said.qop == "auth" {
		want = md5Hex(strings.Join([]string{password, said.nonce, said.count, said.ours, said.qop, of}, ":"))
	}
	return subtle.ConstantTimeCompare([]byte(strings.ToLower(said.response)), []byte(want)) == 1
}

func md5Hex(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

package mdm

import (
	"bytes"
	"encoding/json"
	"regexp"

	"github.com/rollcall-mdm/rollcall/domain/evidence"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// digestKey is the key of a UserAuthenticate whose value lets whoever has it try passwords, as fast as he can count.
const digestKey = "DigestResponse"

// digestValue is where the value stands in XML, also if the message breaks off.
var digestValue = regexp.MustCompile(`(?s)(<key>\s*` + digestKey + `\s*</key>\s*<(?:string|data)>).*?(</|$)`)

// blank takes the DigestResponse out of a message that is kept, and its signature with it: in that stands a hash of the
// whole body, with which passwords can be tried just as well. Whoever signed was checked when the message came. If the
// value cannot be found in the body, none of the body is kept.
func blank(m *evidence.Message, message *plist.Dict) {
	var said json.RawMessage
	if message != nil {
		said = message.JSON(digestKey)
	}
	if len(said) == 0 && !bytes.Contains(m.Body, []byte(digestKey)) {
		return
	}
	body := digestValue.ReplaceAll(m.Body, []byte("${1}${2}"))
	if value := ""; json.Unmarshal(said, &value) == nil && value != "" {
		body = bytes.ReplaceAll(body, []byte(value), nil)
	}
	switch same := bytes.Equal(body, m.Body); {
	case same && len(said) == 0:
		return // somebody speaks of it, that is all
	case same:
		body = nil
	}
	m.Body, m.Signature, m.Blanked = body, "", []string{digestKey}
}

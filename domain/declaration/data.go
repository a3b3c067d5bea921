package declaration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// maxData is the most that a declaration may have the server give out, in bytes: in base64 it stands in one event, and of
// an event some logs take a megabyte.
const maxData = 640 << 10

// kept begins, in a stored payload, the address of data that the server itself gives out; a SHA-256 of these follows. Devices
// are told another address, each its own.
const kept = "rollcall:"

// profileType is the ContentType of configuration profiles.
const profileType = "application/x-apple-aspen-config"

// A Content is what a declaration refers to and the server itself gives out.
type Content struct {
	Type string // ContentType
	Data []byte
}

// PutData decides what follows when somebody gives a declaration data that the server is to give out itself: to an asset
// by its Reference, to a legacy configuration by its ProfileURL. more are the payload's other keys; it may be nil. The
// declaration's token changes with the data. Otherwise it is Put. Source: Apple, "asset" declarations, Reference.
func (d Declaration) PutData(declarationType string, c Content, more json.RawMessage, stamp domain.Stamp) ([]domain.Event, error) {
	switch {
	case len(c.Data) == 0:
		return nil, domain.Refusef(domain.Invalid, "there is no data")
	case len(c.Data) > maxData:
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "the server gives out at most %d bytes for a declaration", maxData),
			"let a web server of yours give it out: putDeclaration takes a Reference with its DataURL, Size and Hash-SHA-256")
	}
	keys := map[string]any{}
	if len(more) > 0 {
		if err := json.Unmarshal(more, &keys); err != nil || keys == nil {
			return nil, domain.Refusef(domain.Invalid, "the payload's other keys are a JSON object")
		}
	}
	reference, err := c.reference(declarationType)
	if err != nil {
		return nil, err
	}
	maps.Copy(keys, reference)
	payload, err := json.Marshal(keys)
	if err != nil {
		return nil, domain.Refusef(domain.Invalid, "the payload cannot be written as JSON")
	}
	return d.put(declarationType, payload, c.Data, false, stamp)
}

// reference returns the keys that refer to a content.
func (c Content) reference(declarationType string) (map[string]any, error) {
	sum := sha256.Sum256(c.Data)
	hash := hex.EncodeToString(sum[:])
	switch {
	case strings.HasPrefix(declarationType, "com.apple.configuration.legacy"):
		if c.Type != "" && c.Type != profileType {
			return nil, domain.Refusef(domain.Invalid, "a profile is of the ContentType %s", profileType)
		}
		return map[string]any{"ProfileURL": kept + hash}, nil
	case KindOf(declarationType) != "asset":
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "%.100q refers to no data", declarationType), "assets do, and com.apple.configuration.legacy")
	case !contentType.MatchString(c.Type):
		return nil, domain.Refusef(domain.Invalid, "a ContentType looks like application/json, and devices want exactly the one that the server answers with")
	}
	return map[string]any{"Reference": map[string]any{"DataURL": kept + hash, "ContentType": c.Type, "Size": len(c.Data), "Hash-SHA-256": hash}}, nil
}

var contentType = regexp.MustCompile(`^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$`)

// A reference is what a payload says of data.
type reference struct {
	ProfileURL string
	Reference  struct{ DataURL, ContentType string }
}

// refersTo returns where a payload says that its data are, if the server itself is to give them out.
func refersTo(payload json.RawMessage) (r reference, here bool) {
	_ = json.Unmarshal(payload, &r) // what is no such object refers to nothing
	return r, strings.HasPrefix(r.ProfileURL, kept) || strings.HasPrefix(r.Reference.DataURL, kept)
}

// Content returns what the server is to give out for the declaration, and whether there is such.
func (d Declaration) Content() (c Content, here bool) {
	r, here := refersTo(d.Payload)
	if !d.exists() || !here || len(d.Data) == 0 {
		return Content{}, false
	}
	if r.ProfileURL != "" {
		return Content{profileType, d.Data}, true
	}
	return Content{r.Reference.ContentType, d.Data}, true
}

// At returns the payload with the address at which a device finds the data. One that refers to none is returned as it is.
func (d Declaration) At(address string) json.RawMessage {
	var keys map[string]json.RawMessage
	if _, here := d.Content(); !here || json.Unmarshal(d.Payload, &keys) != nil {
		return d.Payload
	}
	if _, profile := keys["ProfileURL"]; profile {
		keys["ProfileURL"] = document(address)
		return document(keys)
	}
	var reference map[string]json.RawMessage
	_ = json.Unmarshal(keys["Reference"], &reference) // it was read already
	reference["DataURL"] = document(address)
	keys["Reference"] = document(reference)
	return document(keys)
}

// Size is how much memory a declaration takes, in bytes.
func Size(d Declaration) int { return 500 + len(d.Payload) + len(d.Data) + 100*len(d.Assigned) }

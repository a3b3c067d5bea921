package declaration

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The types that Rollcall adds by itself.
const (
	activationSimple    = "com.apple.activation.simple"
	statusSubscriptions = "com.apple.configuration.management.status-subscriptions"
)

// An Item is a declaration as a device is given it.
type Item struct {
	Identifier  string
	Type        string
	ServerToken string
	Activates   []string        // the configurations that an activation names
	Payload     json.RawMessage // of those that Rollcall adds; the others' stand in their streams
}

// A Set is what one channel is to have. Token changes if, and only if, the set does.
type Set struct {
	Items []Item // by kind, then by identifier
	Token string // DeclarationsToken, 64 hex digits
}

// NewSet returns the set of a channel to which these declarations are assigned. A channel without any has the empty set.
//
// Only what the channel's client can take goes into it: types that its capabilities name; before it has told them, only
// what every client knows. A configuration that no activation of the set names gets one of its own, so that one that a
// device cannot apply holds up no other. Status items that Rollcall reads are subscribed to.
func NewSet(assigned []Item, client Capabilities) Set {
	if len(assigned) == 0 {
		return newSet(nil)
	}
	var items []Item
	for _, item := range append(slices.Clip(assigned), subscription(client)) {
		if client.Takes(item.Type) {
			items = append(items, item)
		}
	}
	return newSet(append(items, activations(items)...))
}

func newSet(items []Item) Set {
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(KindOf(a.Type), KindOf(b.Type)), cmp.Compare(a.Identifier, b.Identifier))
	})
	hash := sha256.New()
	for _, item := range items {
		_, _ = fmt.Fprintf(hash, "%s\x00%s\x00%s\x00", KindOf(item.Type), item.Identifier, item.ServerToken) // a hash never fails
	}
	return Set{items, hex.EncodeToString(hash.Sum(nil))}
}

// activations returns an activation for each configuration that none names yet.
func activations(items []Item) (added []Item) {
	named := map[string]bool{}
	for _, item := range items {
		for _, id := range item.Activates {
			named[id] = true
		}
	}
	for _, item := range items {
		if KindOf(item.Type) == "configuration" && !named[item.Identifier] {
			added = append(added, own("activation."+item.Identifier, activationSimple,
				map[string]any{"StandardConfigurations": []string{item.Identifier}}))
		}
	}
	return added
}

// subscription asks for those status items that Rollcall reads and the client can tell.
func subscription(client Capabilities) Item {
	wanted := []map[string]any{}
	for _, name := range statusItems {
		if client.Tells(name) {
			wanted = append(wanted, map[string]any{"Name": name})
		}
	}
	return own("status", statusSubscriptions, map[string]any{"StatusItems": wanted})
}

// own makes a declaration of Rollcall's. An identifier that would be too long is told by its hash.
func own(name, declarationType string, payload map[string]any) Item {
	id := Own + name
	if len(id) > maxIdentifier {
		sum := sha256.Sum256([]byte(id))
		id = Own + hex.EncodeToString(sum[:16])
	}
	text, err := json.Marshal(payload)
	if err != nil {
		panic(err) // of constants: a slip of ours
	}
	return Item{Identifier: id, Type: declarationType, ServerToken: openToken(declarationType, text), Payload: text}
}

// Tokens returns the document of the endpoint tokens, which is also the Data of a DeclarativeManagement command. changed is
// when the set last changed, in whole seconds; zero if it never did.
func (s Set) Tokens(changed time.Time) json.RawMessage {
	if changed.IsZero() {
		changed = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) // Apple's own beginning of time
	}
	return document(map[string]any{"SyncTokens": map[string]any{
		"DeclarationsToken": s.Token, "Timestamp": changed.UTC().Format("2006-01-02T15:04:05Z"),
	}})
}

// Manifest returns the document of the endpoint declaration-items. All four lists are there, even if they are empty.
func (s Set) Manifest() json.RawMessage {
	type entry struct{ Identifier, ServerToken string }
	lists := map[string][]entry{"Activations": {}, "Assets": {}, "Configurations": {}, "Management": {}}
	plural := map[string]string{"activation": "Activations", "asset": "Assets", "configuration": "Configurations", "management": "Management"}
	for _, item := range s.Items {
		list := plural[KindOf(item.Type)]
		lists[list] = append(lists[list], entry{item.Identifier, item.ServerToken})
	}
	return document(map[string]any{"Declarations": lists, "DeclarationsToken": s.Token})
}

// Find returns one declaration of the set; found is false if it has none of that kind and identifier.
func (s Set) Find(kind, identifier string) (item Item, found bool) {
	for _, item := range s.Items {
		if item.Identifier == identifier && KindOf(item.Type) == kind {
			return item, true
		}
	}
	return Item{}, false
}

// Document returns the declaration as a device fetches it. Its payload must be there.
func (i Item) Document() json.RawMessage {
	return document(map[string]any{"Type": i.Type, "Identifier": i.Identifier, "ServerToken": i.ServerToken, "Payload": i.Payload})
}

func document(v any) json.RawMessage {
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // payloads were read as JSON when they were put
	}
	return json.RawMessage(strings.TrimSuffix(text.String(), "\n"))
}

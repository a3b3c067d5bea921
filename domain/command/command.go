// Package command holds Apple's commands as values, and the catalogue of what each of them takes, gives and asks
// for: the one place that knows which keys are right, and which are secret.
//
// The catalogue is catalog.txt, read once. A Spec checks parameters that came as JSON (Check), makes property list
// values of them (Native), and says where a command exists (Available). Split takes what is secret out of JSON
// before anybody else sees it. Suits refuses what cannot work on a device. Any command is a Checked, made of the
// catalogue; one that the program itself orders has a Go type too, in a file of its own (DeviceLock …).
package command

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A Platform is an operating system of Apple's. iOS is that of iPhone and iPad.
type Platform string

// The platforms.
const (
	IOS      Platform = "iOS"
	MacOS    Platform = "macOS"
	TVOS     Platform = "tvOS"
	VisionOS Platform = "visionOS"
	WatchOS  Platform = "watchOS"
)

// A Command is one of Apple's commands with its parameters.
type Command interface{ RequestType() string }

// Parameters returns a command's parameters in their JSON shape, as Check wants them.
func Parameters(c Command) (map[string]any, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write the parameters of %s: %w", c.RequestType(), err)
	}
	read := json.NewDecoder(bytes.NewReader(text))
	read.UseNumber()
	var params map[string]any
	if err := read.Decode(&params); err != nil {
		return nil, fmt.Errorf("read the parameters of %s: %w", c.RequestType(), err)
	}
	return params, nil
}

// A Checked is any of Apple's commands, with keys that the catalogue has checked. Commands that the program orders by
// itself have types of their own; this is for all that people order.
type Checked struct {
	spec   *Spec
	params map[string]any
	native map[string]any
}

// New makes a command of its keys in JSON's shape: data is base64 in a string, a date is RFC 3339. It refuses a type
// that the catalogue does not have, and keys that Check refuses.
func New(requestType string, params map[string]any) (Checked, error) {
	spec, known := Lookup(requestType)
	if !known {
		return Checked{}, domain.WithHint(domain.Refusef(domain.Invalid, "the catalogue has no command %.100q", requestType),
			"commandTypes lists what there is; names are spelt as Apple does")
	}
	native, err := spec.Native(params)
	return Checked{spec, params, native}, err
}

// RequestType is the command's.
func (c Checked) RequestType() string { return c.spec.Type }

// Native returns its keys as property list values. It must not be changed.
func (c Checked) Native() map[string]any { return c.native }

// MarshalJSON writes its keys in JSON's shape.
func (c Checked) MarshalJSON() ([]byte, error) { return json.Marshal(c.params) }

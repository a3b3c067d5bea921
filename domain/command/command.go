// Package command holds Apple's commands as values, and the catalogue of what each of them takes, gives and asks
// for: the one place that knows which keys are right, and which are secret.
//
// The catalogue is catalog.txt, read once. A Spec checks parameters that came as JSON (Check), makes property list
// values of them (Native), and says where a command exists (Available). Split takes what is secret out of JSON
// before anybody else sees it. A command of every day has a type of its own, in a file of its own (DeviceLock …).
package command

import (
	"bytes"
	"encoding/json"
	"fmt"
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

package declaration

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// The declarations about updates of operating systems.
const (
	UpdateEnforcement = "com.apple.configuration.softwareupdate.enforcement.specific"
	UpdateSettings    = "com.apple.configuration.softwareupdate.settings"
)

// localTime is how TargetLocalDateTime is written: in the device's own time, whichever that is.
const localTime = "2006-01-02T15:04:05"

// An Enforcement has a device run a version of its operating system by a moment. Source: Apple,
// SoftwareUpdateEnforcementSpecific.
type Enforcement struct {
	TargetOSVersion     string
	TargetBuildVersion  string `json:",omitempty"`
	TargetLocalDateTime string // 2026-03-01T18:00:00, in the device's own time
	DetailsURL          string `json:",omitempty"` // shown to the user
}

// ParseEnforcement reads the payload of an enforcement. What is no such payload asks for nothing.
func ParseEnforcement(payload json.RawMessage) (e Enforcement) {
	_ = json.Unmarshal(payload, &e)
	return e
}

var (
	osVersion    = regexp.MustCompile(`^[1-9][0-9]?(\.[0-9]{1,2}){1,2}$`)
	buildVersion = regexp.MustCompile(`^[1-9][0-9]?[A-Z][0-9]{1,5}[a-z]?$`)
)

// Payload returns the declaration's payload, or refuses what no device would understand.
func (e Enforcement) Payload() (json.RawMessage, error) {
	switch {
	case !osVersion.MatchString(e.TargetOSVersion):
		return nil, domain.Refusef(domain.Invalid, "TargetOSVersion is a version like 18.1 or 15.3.2")
	case e.TargetBuildVersion != "" && !buildVersion.MatchString(e.TargetBuildVersion):
		return nil, domain.Refusef(domain.Invalid, "TargetBuildVersion is a build like 22B83")
	case e.by().IsZero():
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "TargetLocalDateTime looks like 2026-03-01T18:00:00"), "it has no time zone: each device takes its own")
	}
	if e.DetailsURL != "" {
		if u, err := url.Parse(e.DetailsURL); err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, domain.Refusef(domain.Invalid, "DetailsURL is an address that begins with https://")
		}
	}
	return json.Marshal(e)
}

func (e Enforcement) by() time.Time {
	t, _ := time.Parse(localTime, e.TargetLocalDateTime) // zero if it is none
	return t
}

// Passed reports whether the moment has passed wherever on Earth the device may be.
func (e Enforcement) Passed(now time.Time) bool {
	return !e.by().IsZero() && e.by().Add(12*time.Hour).Before(now) // UTC-12 is the last
}

// Met reports whether a device with this version, and with one of these builds, runs what is asked for, or something newer.
func (e Enforcement) Met(version string, builds ...string) bool {
	if version == "" {
		return false
	}
	for _, b := range builds {
		if b != "" && b == e.TargetBuildVersion {
			return true
		}
	}
	if e.TargetBuildVersion == "" {
		return !command.Older(version, e.TargetOSVersion)
	}
	return command.Older(e.TargetOSVersion, version)
}

// unheard are the major versions that a platform never had: Apple numbers all of them alike from 26 on.
var unheard = map[command.Platform]int{command.IOS: 19, command.MacOS: 16, command.TVOS: 19, command.VisionOS: 3, command.WatchOS: 12}

// Suits returns the refusal of an update that a device cannot be brought to: its platform never had such a version, or it
// runs a newer one than that.
func (e Enforcement) Suits(t command.Target) error {
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := Suits(UpdateEnforcement, payload, t); err != nil {
		return err
	}
	first, _, _ := strings.Cut(e.TargetOSVersion, ".")
	major, _ := strconv.Atoi(first)
	if from, known := unheard[t.Platform]; known && major >= from && major < 26 {
		return domain.Refusef(domain.Conflict, "there is no %s %s", t.Platform, e.TargetOSVersion)
	}
	if t.Version != "" && command.Older(e.TargetOSVersion, t.Version) {
		return domain.Refusef(domain.Conflict, "the device runs %s %s already, which is newer than %s", t.Platform, t.Version, e.TargetOSVersion)
	}
	return nil
}

package command

import (
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A Fact is yes, no, or not known.
type Fact int8

// The facts. What is not known refuses nothing: the device will say so itself.
const (
	Unknown Fact = iota
	No
	Yes
)

// Known returns the fact of a truth.
func Known(is bool) Fact {
	if is {
		return Yes
	}
	return No
}

// A Target is what is known of the device that a command is for, and the channel on which it goes there. What is
// zero is not known.
type Target struct {
	Platform      Platform
	Version       string // of the operating system
	User          bool   // the command is for a user's channel
	Supervised    Fact
	Automated     Fact // enrolled by Automated Device Enrolment
	UserApproved  Fact // macOS: a user approved the enrolment
	SharedIPad    Fact
	UserEnrolment Fact
	Rights        int // the access rights that the enrolment grants, as Apple's bits
}

// rightNames say in words what each access right allows. Source: Apple, "MDM" payload, AccessRights.
var rightNames = []struct {
	bit  int
	name string
}{
	{1, "inspect profiles"}, {2, "install and remove profiles"}, {4, "lock the device and remove its passcode"},
	{8, "erase the device"}, {16, "query the device"}, {32, "query the network"}, {64, "inspect provisioning profiles"},
	{128, "install and remove provisioning profiles"}, {256, "inspect apps"}, {512, "query restrictions"},
	{1024, "query security"}, {2048, "change settings"}, {4096, "manage apps"},
}

// Suits returns the refusal of a command that cannot work on the target, with a reason that a person understands.
// params are its keys in JSON's shape; secrets may be masked in them.
func (s *Spec) Suits(t Target, params map[string]any) error {
	if t.Platform == "" {
		return nil
	}
	if err := s.Available(t.Platform, t.Version); err != nil {
		return err
	}
	support, _ := s.On(t.Platform)
	if err := t.wayTo(s.Type, support); err != nil {
		return err
	}
	if err := t.meets(s.Type, support); err != nil {
		return err
	}
	return t.keys(s, s.takes, "", params)
}

// wayTo refuses a command that does not exist on the target's channel.
func (t Target) wayTo(command string, s Support) error {
	channels := s.Channels
	switch {
	case t.Platform == IOS && (t.User || t.SharedIPad == Yes):
		channels = s.SharedChannels
	case t.Platform != MacOS:
		channels = []string{"device"}
	}
	if len(channels) == 0 && !t.User || slices.Contains(channels, t.channel()) {
		return nil
	}
	if len(channels) == 0 {
		return domain.Refusef(domain.Conflict, "%s does not exist for users", command)
	}
	return domain.Refusef(domain.Conflict, "%s exists on the %s channel alone", command, strings.Join(channels, " and "))
}

func (t Target) channel() string {
	if t.User {
		return "user"
	}
	return "device"
}

// meets refuses what asks for another kind of enrolment than the target has.
func (t Target) meets(what string, s Support) error {
	shared := t.SharedIPad
	if t.Platform == IOS && t.User {
		shared = Yes // nobody else has users
	}
	for _, c := range []struct {
		no    bool
		needs string
	}{
		{s.UserEnrolment == "forbidden" && t.UserEnrolment == Yes, "is not allowed in a User Enrolment"},
		{s.UserEnrolment == "required" && t.UserEnrolment == No, "exists in a User Enrolment alone"},
		{s.SharedIPad == "forbidden" && shared == Yes, "does not exist on a Shared iPad"},
		{s.SharedIPad == "required" && shared == No, "exists on a Shared iPad alone"},
		{s.Automated && t.Automated == No, "needs a device that was enrolled by Automated Device Enrolment"},
		{s.Supervised && t.Supervised == No, "needs a supervised device"},
		{s.UserApproved && t.UserApproved == No, "needs an enrolment that a user has approved"},
	} {
		if c.no {
			return domain.Refusef(domain.Conflict, "%s %s", what, c.needs)
		}
	}
	if !t.enrolledAs(s.Enrolments) {
		return domain.Refusef(domain.Conflict, "%s is not for this kind of enrolment: the device must be %s", what, list(enrolmentsInWords(s.Enrolments)))
	}
	if t.Rights == 0 || t.UserEnrolment == Yes {
		return nil // not known, or all that a User Enrolment allows
	}
	for _, r := range rightNames {
		if s.Rights&r.bit&^t.Rights != 0 {
			return domain.WithHint(domain.Refusef(domain.Conflict, "%s needs the access right to %s (%d), which this enrolment does not grant", what, r.name, r.bit),
				"rights are fixed when a device enrols: it must enrol anew with a profile that grants more")
		}
	}
	return nil
}

// enrolledAs reports whether the target is, or may be, enrolled in one of these ways.
func (t Target) enrolledAs(ways []string) bool {
	if len(ways) == 0 {
		return true
	}
	for way, may := range map[string]bool{
		"user":       t.UserEnrolment != No,
		"supervised": t.UserEnrolment != Yes && t.Supervised != No,
		"device":     t.UserEnrolment != Yes && t.Supervised != Yes,
	} {
		if may && slices.Contains(ways, way) {
			return true
		}
	}
	return false
}

func enrolmentsInWords(ways []string) (words []string) {
	for _, way := range ways {
		if text, known := map[string]string{"supervised": "supervised", "device": "enrolled without supervision", "user": "in a User Enrolment"}[way]; known {
			words = append(words, text)
		}
	}
	return words
}

// keys refuses keys and values that the target does not have, and asks for those that its platform demands.
func (t Target) keys(spec *Spec, s *shape, path string, params map[string]any) error {
	for _, name := range s.names {
		member, at := s.members[name], join(path, name)
		v, given := params[name]
		if !given {
			if member.Required && !member.demanded() && t.has(member.Limits) {
				return domain.Refusef(domain.Invalid, "%s: %s is required on %s", spec.Type, at, t.Platform)
			}
			continue
		}
		if err := t.limits(spec.Type+": "+at, member.Limits); err != nil {
			return err
		}
		if err := t.value(spec, member, at, v); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether the target's platform and version, if they are known, have a key with these limits.
func (t Target) has(limits []Support) bool {
	limit, differs := on(limits, t.Platform)
	return !differs || !limit.Absent && t.Version != "" && !before(t.Version, limit.Introduced)
}

func (t Target) value(spec *Spec, s *shape, path string, v any) error {
	switch v := v.(type) {
	case map[string]any:
		return t.keys(spec, s, path, v)
	case []any:
		for _, e := range v {
			element := s.element
			if m, is := e.(map[string]any); is && s.items != nil {
				label, _ := m["Item"].(string)
				if element = s.items[label]; element == nil {
					continue
				}
				if err := t.limits(spec.Type+": "+label, element.Limits); err != nil {
					return err
				}
			}
			if element == nil {
				continue
			}
			if err := t.value(spec, element, path+"[]", e); err != nil {
				return err
			}
		}
	case string:
		if spec.Type == "DeviceInformation" {
			return nil // the device leaves out what it does not have, and answers the rest
		}
		for _, allowed := range s.Allowed {
			if allowed.Text == v {
				return t.limits(spec.Type+": "+path+"="+v, allowed.Limits)
			}
		}
	}
	return nil
}

// limits refuses a key or a value that differs on the target's platform.
func (t Target) limits(what string, limits []Support) error {
	limit, differs := on(limits, t.Platform)
	switch {
	case !differs:
		return nil
	case limit.Absent:
		return domain.Refusef(domain.Invalid, "%s does not exist on %s", what, t.Platform)
	case t.Version != "" && before(t.Version, limit.Introduced):
		return domain.Refusef(domain.Invalid, "%s came with %s %s; the device has %s", what, t.Platform, limit.Introduced, t.Version)
	case t.Version != "" && limit.Removed != "" && !before(t.Version, limit.Removed):
		return domain.Refusef(domain.Invalid, "%s went with %s %s; the device has %s", what, t.Platform, limit.Removed, t.Version)
	}
	channels := limit.Channels
	if t.Platform == IOS && (t.User || t.SharedIPad == Yes) {
		channels = limit.SharedChannels
	}
	if len(channels) > 0 && !slices.Contains(channels, t.channel()) {
		return domain.Refusef(domain.Conflict, "%s exists on the %s channel alone", what, strings.Join(channels, " and "))
	}
	return t.meets(what, limit)
}

// PlatformOf tells the platform by Apple's identifier of the product (iPad13,4); empty if it is not known.
func PlatformOf(product string) Platform {
	for _, c := range []struct {
		begins   string
		platform Platform
	}{
		{"iPhone", IOS}, {"iPad", IOS}, {"iPod", IOS}, {"AppleTV", TVOS}, {"Watch", WatchOS}, {"RealityDevice", VisionOS},
	} {
		if strings.HasPrefix(product, c.begins) {
			return c.platform
		}
	}
	if strings.Contains(product, "Mac") {
		return MacOS
	}
	return ""
}

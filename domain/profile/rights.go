package profile

import "github.com/rollcall-mdm/rollcall/domain"

// Rights that are given only with others. Source: Apple, "MDM" payload, AccessRights.
const (
	inspectProfiles     = 1
	manageProfiles      = 2
	inspectProvisioning = 64
	manageProvisioning  = 128
)

func checkRights(rights int) error {
	without := func(right, needed int) bool { return rights&(right|needed) == right }
	switch {
	case rights < 1 || rights > AllRights:
		return domain.WithHint(invalid("AccessRights must be 1 to %d", AllRights), "8191 grants all; without any, the server could not do a thing")
	case without(manageProfiles, inspectProfiles):
		return domain.WithHint(invalid("AccessRights has the right to install profiles (2) without that to inspect them (1)"), "devices take the one only with the other")
	case without(manageProvisioning, inspectProvisioning):
		return domain.WithHint(invalid("AccessRights has the right to install provisioning profiles (128) without that to inspect them (64)"), "devices take the one only with the other")
	}
	return nil
}

// Known is what a server knows of the profile by which it manages a device: devices do not show it.
type Known struct {
	Topic        string // of pushes; empty if it is not known
	AccessRights int    // 0 if they are not known
}

// CheckReplacement refuses an enrolment profile that devices would refuse in the place of the one by which they are managed. A
// profile that brings nobody under management is none. Source: Apple, "MDM" payload.
func CheckReplacement(k Known, next Values) error {
	mdm := mdmOf(next)
	if mdm == nil {
		return nil
	}
	if k.Topic != "" && text(mdm, "Topic") != k.Topic {
		return domain.WithHint(invalid("the profile has another Topic than the one by which the device is managed, and that cannot change while it is"),
			"take one with the Topic "+k.Topic+", or enrol the device again")
	}
	if more := whole(mdm["AccessRights"]) &^ k.AccessRights; more != 0 && k.AccessRights != 0 {
		return domain.WithHint(invalid("the rights would grow by %d: a replacement may only take rights away", more), "enrol the device again to grant more")
	}
	return nil
}

// mdmOf returns the MDM payload of a profile; nil if it has none.
func mdmOf(p Values) Values {
	content, _ := p["PayloadContent"].([]any)
	for _, one := range content {
		if v, _ := one.(map[string]any); text(v, "PayloadType") == TypeMDM {
			return v
		}
	}
	return nil
}

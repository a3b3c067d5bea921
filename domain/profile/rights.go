package profile

import (
	"net/url"

	"github.com/rollcall-mdm/rollcall/domain"
)

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

// unchangeable are the keys that a replacement must say as the old profile did. Source: Apple, "MDM" payload.
var unchangeable = []string{"Topic", "ServerURL", "EnrollmentMode", "AssignedManagedAppleID"}

// CheckReplacement refuses an enrolment profile that cannot take the place of the old one: devices would refuse it, or
// would not know that it is meant. Both are such as CheckEnrolment takes.
func CheckReplacement(old, next Values) error {
	if text(old, "PayloadIdentifier") != text(next, "PayloadIdentifier") {
		return domain.WithHint(invalid("the replacement has another PayloadIdentifier"), "the device would take it for a second enrolment and refuse it")
	}
	was, is := mdmOf(old), mdmOf(next)
	for _, key := range unchangeable {
		if text(was, key) != text(is, key) {
			return domain.WithHint(invalid("%s cannot change while a device is enrolled", key), "enrol the device again")
		}
	}
	if checkInBase(was) != checkInBase(is) {
		return domain.WithHint(invalid("CheckInURL cannot change while a device is enrolled"), "enrol the device again")
	}
	before, after := whole(was["AccessRights"]), whole(is["AccessRights"])
	if more := after &^ before; more != 0 && before != 0 {
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

// checkInBase returns where a device checks in, without what only this server reads of it.
func checkInBase(m Values) string {
	where := text(m, "CheckInURL")
	if where == "" {
		where = text(m, "ServerURL")
	}
	u, err := url.Parse(where)
	if err != nil {
		return where
	}
	query := u.Query()
	query.Del(rightsKey)
	query.Del(renewalKey)
	u.RawQuery = query.Encode()
	return u.String()
}

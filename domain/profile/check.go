package profile

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// topicBegins is how the topics of push certificates for MDM begin. Source: Apple.
const topicBegins = "com.apple.mgmt."

// CheckEnrolment refuses an enrolment profile that devices would not take, or that this server could not manage them by.
// Numbers and data may have JSON's shape. plainHTTP says that the server runs without TLS, so URLs may be http.
func CheckEnrolment(p Values, plainHTTP bool) error {
	if text(p, "PayloadIdentifier") == "" {
		return invalid("the profile has no PayloadIdentifier")
	}
	uuids, mdms, err := payloads(p)
	if err != nil {
		return err
	}
	if len(mdms) != 1 {
		return domain.WithHint(invalid("an enrolment profile has one MDM payload, and this one has %d", len(mdms)), "a device is managed by one server at a time")
	}
	return checkMDM(mdms[0], uuids, plainHTTP)
}

// identities are the types of payloads that bring a certificate with its key.
var identities = []string{TypeSCEP, TypeACME, TypePKCS12}

// payloads returns the types of a profile's payloads by their UUIDs, and those that are MDM payloads.
func payloads(p Values) (uuids map[string]string, mdms []Values, err error) {
	content, _ := p["PayloadContent"].([]any)
	uuids, named := map[string]string{}, map[string]bool{}
	for _, one := range content {
		v, _ := one.(map[string]any)
		uuid, identifier := text(v, "PayloadUUID"), text(v, "PayloadIdentifier")
		switch {
		case uuid == "" || identifier == "" || text(v, "PayloadType") == "":
			return nil, nil, invalid("each payload has a PayloadType, a PayloadIdentifier and a PayloadUUID")
		case uuids[uuid] != "":
			return nil, nil, invalid("two payloads have the same PayloadUUID")
		case named[identifier]:
			return nil, nil, invalid("two payloads have the same PayloadIdentifier")
		}
		uuids[uuid], named[identifier] = text(v, "PayloadType"), true
		if uuids[uuid] == TypeMDM {
			mdms = append(mdms, v)
		}
	}
	return uuids, mdms, nil
}

func checkMDM(m Values, uuids map[string]string, plainHTTP bool) error {
	topic := text(m, "Topic")
	switch {
	case topic == "":
		return domain.WithHint(invalid("the MDM payload has no Topic: devices would refuse it"), "import the push certificate first, which names it")
	case !strings.HasPrefix(topic, topicBegins) || topic == topicBegins:
		return domain.WithHint(invalid("the MDM payload's Topic must begin with %s", topicBegins), "it is the UID in the subject of the push certificate for MDM")
	}
	if err := checkURL("ServerURL", text(m, "ServerURL"), plainHTTP); err != nil {
		return err
	}
	if _, given := m["CheckInURL"]; given {
		if err := checkURL("CheckInURL", text(m, "CheckInURL"), plainHTTP); err != nil {
			return err
		}
	}
	if !slices.Contains(identities, uuids[text(m, "IdentityCertificateUUID")]) {
		return domain.WithHint(invalid("IdentityCertificateUUID names no identity in the profile"), "it is the PayloadUUID of a SCEP, ACME or PKCS#12 payload beside the MDM payload")
	}
	for _, key := range []string{"ServerURLPinningCertificateUUIDs", "CheckInURLPinningCertificateUUIDs"} {
		list, _ := m[key].([]any)
		for _, uuid := range list {
			if name, _ := uuid.(string); uuids[name] == "" {
				return invalid("%s names no payload of the profile", key)
			}
		}
	}
	return checkMode(m)
}

// checkMode refuses rights and an account that do not fit the way of enrolling.
func checkMode(m Values) error {
	mode, account := Mode(text(m, "EnrollmentMode")), text(m, "AssignedManagedAppleID")
	_, given := m["AccessRights"]
	rights := whole(m["AccessRights"])
	switch {
	case mode != "" && mode != BYOD && mode != ADDE:
		return invalid("EnrollmentMode is %s or %s, or absent", BYOD, ADDE)
	case mode != "" && account == "":
		return invalid("account-driven enrolment needs the AssignedManagedAppleID")
	case mode == "" && account != "":
		return invalid("AssignedManagedAppleID belongs to account-driven enrolment: give an EnrollmentMode")
	case mode == BYOD && given:
		return domain.WithHint(invalid("AccessRights cannot be given with the EnrollmentMode BYOD"), "a person's own device grants what Apple fixed")
	case mode != "" && !given:
		return nil // the account decides
	}
	return checkRights(rights)
}

// checkURL refuses what is no whole URL, and http where https is needed.
func checkURL(key, value string, plainHTTP bool) error {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return invalid("%s must be a whole URL, as https://mdm.example.com/mdm", key)
	case u.Scheme == "http" && !plainHTTP:
		return domain.WithHint(invalid("%s must be https: devices talk to no server without TLS", key), "only a server that runs on plain HTTP, for a trial, may name http")
	case u.User != nil || u.Fragment != "":
		return invalid("%s can hold neither a user nor a fragment", key)
	}
	return nil
}

func text(v Values, key string) string {
	s, _ := v[key].(string)
	return s
}

// whole returns the integer that v is, in a property list's shape or JSON's; 0 if it is none.
func whole(v any) int {
	switch v := v.(type) {
	case int:
		return v
	case int64:
		return int(v)
	case uint64:
		return int(v)
	case float64:
		if v == float64(int(v)) {
			return int(v)
		}
	case json.Number:
		n, _ := v.Int64()
		return int(n)
	}
	return 0
}

func invalid(format string, args ...any) error {
	return domain.Refusef(domain.Invalid, format, args...)
}

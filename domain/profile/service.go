package profile

// A Service is the profile that a user opens first on the over-the-air road: the device answers it with what it is,
// signed by the certificate that it was built with. Source: Apple, "Over-the-Air Profile Delivery".
type Service struct {
	Head
	URL       string // where the device answers
	Challenge string // a secret, good once; comes back as CHALLENGE

	PlainHTTP bool
}

// attributes are what a device is asked for.
var attributes = []string{"UDID", "VERSION", "PRODUCT", "SERIAL", "IMEI", "MEID"}

// Profile returns the profile as a property list.
func (s Service) Profile() (Values, error) {
	if err := checkURL("URL", s.URL, s.PlainHTTP); err != nil {
		return nil, err
	}
	content := Values{"URL": s.URL, "DeviceAttributes": anys(attributes)}
	put(content, "Challenge", s.Challenge)
	return s.profile(typeService, content), nil
}

// OnlyIdentity returns a profile that brings an identity and nothing else: the second answer of the over-the-air road.
func OnlyIdentity(h Head, i Identity, plainHTTP bool) (Values, error) {
	e := Enrolment{Head: h, PlainHTTP: plainHTTP}
	identity, err := e.identity(i)
	if err != nil {
		return nil, err
	}
	return h.profile(typeConfiguration, []any{identity}), nil
}

// OnlyRoots returns a profile that brings certificates to trust, in DER, and nothing else: Apple Configurator's trust profile.
func OnlyRoots(h Head, roots [][]byte) (Values, error) {
	if len(roots) == 0 {
		return nil, invalid("a trust profile needs a certificate")
	}
	return h.profile(typeConfiguration, Enrolment{Head: h, Roots: roots}.roots()), nil
}

package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strconv"
)

// AllRights are all of Apple's access rights.
const AllRights = 8191

// A Mode is how an account-driven enrolment manages a device.
type Mode string

// Apple's modes. A profile that comes by another road has none.
const (
	BYOD Mode = "BYOD" // a person's own device: management is bounded, and no rights are asked for
	ADDE Mode = "ADDE" // the organisation's device
)

// What ServerCapabilities may name.
const (
	PerUser        = "com.apple.mdm.per-user-connections" // users of Macs and Shared iPads have channels of their own
	BootstrapToken = "com.apple.mdm.bootstraptoken"       // #nosec G101 -- macOS 11, iOS 26
	GetToken       = "com.apple.mdm.token"                // #nosec G101 -- checks in for tokens of Apple's services
)

// An Enrolment is what an enrolment profile says.
type Enrolment struct {
	Head
	Roots    [][]byte // certificates that the device is to trust, in DER: each becomes a payload
	Identity Identity
	MDM      MDM

	PlainHTTP bool // the server runs without TLS, so its URLs may be http
}

// MDM is the payload that brings a device under management. Source: Apple, "MDM" payload.
type MDM struct {
	Topic        string   // that of the push certificate; a replacement cannot change it
	ServerURL    string   // where commands are fetched; nor this
	CheckInURL   string   // where the device checks in; ServerURL if empty
	AccessRights int      // Apple's bits: 1 to AllRights; 0 in BYOD alone. CheckInURL tells them to the server
	Capabilities []string // ServerCapabilities
	Pinned       []int    // which of the roots the server's certificate must chain to, by their index
	AskBootstrap bool     // macOS 11: ask the user before the bootstrap token is used

	// Renewal is the CommandUUID of the InstallProfile that brings this profile in the place of another: it is put into
	// CheckInURL, and the check-in that follows names it. Apple says that a replacement's CheckInURL is the old one's; a
	// renewal is recognised without it as well, if the device checks in within an hour after the profile was handed out.
	Renewal string

	Mode                   Mode
	AssignedManagedAppleID string // of account-driven enrolment, and needed there
	RequiredApp            int    // account-driven: iTunes Store id of an app that installs without consent
}

// Profile returns the enrolment profile as a property list, or a refusal that says what is wrong with it.
//
// The payloads' identifiers are the profile's, and mdm, identity, or root and the beginning of the certificate's SHA-256.
func (e Enrolment) Profile() (Values, error) {
	if e.Identity == nil {
		return nil, invalid("an enrolment profile needs an identity: SCEP, ACME or PKCS#12")
	}
	roots := e.roots()
	identity, err := e.identity(e.Identity)
	if err != nil {
		return nil, err
	}
	mdm, err := e.mdm(identity, roots)
	if err != nil {
		return nil, err
	}
	content := append(roots, identity, mdm)
	v := e.profile(typeConfiguration, content)
	return v, CheckEnrolment(v, e.PlainHTTP)
}

// roots returns the payloads of the certificates to trust.
func (e Enrolment) roots() []any {
	payloads := make([]any, len(e.Roots))
	for i, der := range e.Roots {
		sum := sha256.Sum256(der)
		payloads[i] = e.payload(TypeRoot, "root."+hex.EncodeToString(sum[:4]), Values{"PayloadContent": der})
	}
	return payloads
}

func (e Enrolment) identity(i Identity) (Values, error) {
	payloadType, keys, err := i.keys(e.PlainHTTP)
	if err != nil {
		return nil, err
	}
	return e.payload(payloadType, "identity", keys), nil
}

// mdm returns the MDM payload. CheckEnrolment sees to what it says.
func (e Enrolment) mdm(identity Values, roots []any) (Values, error) {
	m := e.MDM
	checkIn, err := m.checkIn()
	if err != nil {
		return nil, err
	}
	v := Values{
		"IdentityCertificateUUID": identity["PayloadUUID"], "Topic": m.Topic, "ServerURL": m.ServerURL, "CheckInURL": checkIn,
		"SignMessage": true, "CheckOutWhenRemoved": true,
	}
	put(v, "AccessRights", m.AccessRights)
	put(v, "PromptUserToAllowBootstrapTokenForAuthentication", m.AskBootstrap)
	put(v, "EnrollmentMode", string(m.Mode))
	put(v, "AssignedManagedAppleID", m.AssignedManagedAppleID)
	put(v, "RequiredAppIDForMDM", m.RequiredApp)
	if len(m.Capabilities) > 0 {
		v["ServerCapabilities"] = anys(m.Capabilities)
	}
	if len(m.Pinned) > 0 {
		pinned := make([]any, len(m.Pinned))
		for i, at := range m.Pinned {
			if at < 0 || at >= len(roots) {
				return nil, invalid("a certificate to be pinned is not among the profile's roots")
			}
			pinned[i] = roots[at].(Values)["PayloadUUID"]
		}
		v["ServerURLPinningCertificateUUIDs"], v["CheckInURLPinningCertificateUUIDs"] = pinned, pinned
	}
	return e.payload(TypeMDM, "mdm", v), nil
}

// The keys of CheckInURL's query that the server reads at check-in.
const (
	rightsKey  = "rights"
	renewalKey = "renewal"
)

// checkIn returns the CheckInURL, with what the server is to be told by it.
func (m MDM) checkIn() (string, error) {
	text := m.CheckInURL
	if text == "" {
		text = m.ServerURL
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", invalid("CheckInURL is no URL")
	}
	query := u.Query()
	if m.AccessRights != 0 {
		query.Set(rightsKey, strconv.Itoa(m.AccessRights))
	}
	if m.Renewal != "" {
		query.Set(renewalKey, m.Renewal)
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

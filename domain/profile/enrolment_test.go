package profile

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"pgregory.net/rapid"
)

// plain is an enrolment as the server makes it by default.
func plain() Enrolment {
	return Enrolment{
		Head:     Head{Server: "https://mdm.example.com", Identifier: "com.example.mdm.enrolment", DisplayName: "Example management"},
		Identity: SCEP{URL: "https://mdm.example.com/scep", Subject: Subject{{"O", "Example"}, {"CN", "session-1"}}, Challenge: "once"},
		MDM: MDM{
			Topic: "com.apple.mgmt.External.1", ServerURL: "https://mdm.example.com/mdm/connect", CheckInURL: "https://mdm.example.com/mdm/checkin",
			AccessRights: AllRights, Capabilities: []string{PerUser, BootstrapToken},
		},
	}
}

func made(t *testing.T, e Enrolment) Values {
	t.Helper()
	v, err := e.Profile()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// only returns the payload of that type, and fails if there is not exactly one.
func only(t *testing.T, p Values, payloadType string) Values {
	t.Helper()
	var found []Values
	for _, one := range p["PayloadContent"].([]any) {
		if v := one.(Values); v["PayloadType"] == payloadType {
			found = append(found, v)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d payloads of type %s, want 1", len(found), payloadType)
	}
	return found[0]
}

func TestThePlainEnrolmentProfile(t *testing.T) {
	p := made(t, plain())
	mdm, scep := only(t, p, TypeMDM), only(t, p, TypeSCEP)
	if n := len(p["PayloadContent"].([]any)); n != 2 {
		t.Errorf("%d payloads, want the identity and MDM alone", n)
	}
	keys := scep["PayloadContent"].(Values)
	want := Values{
		"URL": "https://mdm.example.com/scep", "Challenge": "once", "Keysize": 2048, "Key Type": "RSA", "Key Usage": 5,
		"Subject": []any{[]any{[]any{"O", "Example"}}, []any{[]any{"CN", "session-1"}}},
	}
	if !reflect.DeepEqual(keys, want) {
		t.Errorf("SCEP says %v, want %v", keys, want)
	}
	said := Values{
		"SignMessage": true, "CheckOutWhenRemoved": true, "AccessRights": 8191, "Topic": "com.apple.mgmt.External.1",
		"ServerURL":               "https://mdm.example.com/mdm/connect",
		"CheckInURL":              "https://mdm.example.com/mdm/checkin?rights=8191",
		"IdentityCertificateUUID": scep["PayloadUUID"], "PayloadIdentifier": "com.example.mdm.enrolment.mdm", "PayloadVersion": 1,
		"ServerCapabilities": []any{PerUser, BootstrapToken},
	}
	for key, want := range said {
		if !reflect.DeepEqual(mdm[key], want) {
			t.Errorf("%s is %v, want %v", key, mdm[key], want)
		}
	}
	if p["PayloadScope"] != "System" || p["PayloadType"] != "Configuration" {
		t.Errorf("the profile is of type %v and scope %v", p["PayloadType"], p["PayloadScope"])
	}
}

func TestWhatAnEnrolmentProfileMaySay(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Enrolment)
		wrong  string // a piece of the refusal; empty if it is taken
	}{
		{"the plain one", func(*Enrolment) {}, ""},
		{"no topic", func(e *Enrolment) { e.MDM.Topic = "" }, "no Topic"},
		{"the topic of an app", func(e *Enrolment) { e.MDM.Topic = "com.example.app" }, "must begin with com.apple.mgmt."},
		{"half a topic", func(e *Enrolment) { e.MDM.Topic = "com.apple.mgmt." }, "must begin with com.apple.mgmt."},
		{"commands over http", func(e *Enrolment) { e.MDM.ServerURL = "http://mdm.example.com/mdm" }, "ServerURL must be https"},
		{"check-in over http", func(e *Enrolment) { e.MDM.CheckInURL = "http://mdm.example.com/mdm" }, "CheckInURL must be https"},
		{"http on a plain server", func(e *Enrolment) {
			e.MDM.ServerURL, e.MDM.CheckInURL, e.PlainHTTP = "http://localhost:1/mdm", "", true
		}, ""},
		{"half a URL", func(e *Enrolment) { e.MDM.ServerURL = "/mdm" }, "whole URL"},
		{"a password in the URL", func(e *Enrolment) { e.MDM.ServerURL = "https://a:b@c/mdm" }, "neither a user"},
		{"no rights", func(e *Enrolment) { e.MDM.AccessRights = 0 }, "AccessRights must be"},
		{"too many rights", func(e *Enrolment) { e.MDM.AccessRights = 8192 }, "AccessRights must be"},
		{"to install, not to inspect", func(e *Enrolment) { e.MDM.AccessRights = 2 }, "without that to inspect them (1)"},
		{"the same of provisioning", func(e *Enrolment) { e.MDM.AccessRights = 128 | 3 }, "without that to inspect them (64)"},
		{"no identity", func(e *Enrolment) { e.Identity = nil }, "needs an identity"},
		{"a person's own device", func(e *Enrolment) {
			e.MDM.Mode, e.MDM.AssignedManagedAppleID, e.MDM.AccessRights = BYOD, "ada@example.com", 0
		}, ""},
		{"rights on a person's own device", func(e *Enrolment) { e.MDM.Mode, e.MDM.AssignedManagedAppleID = BYOD, "ada@example.com" }, "cannot be given with"},
		{"no account", func(e *Enrolment) { e.MDM.Mode = ADDE }, "needs the AssignedManagedAppleID"},
		{"an account without a mode", func(e *Enrolment) { e.MDM.AssignedManagedAppleID = "ada@example.com" }, "give an EnrollmentMode"},
		{"the organisation's device", func(e *Enrolment) {
			e.MDM.Mode, e.MDM.AssignedManagedAppleID, e.MDM.AccessRights = ADDE, "ada@example.com", 0
		}, ""},
		{"another mode", func(e *Enrolment) { e.MDM.Mode = "MINE" }, "EnrollmentMode is"},
		{"a pinned root", func(e *Enrolment) { e.Roots, e.MDM.Pinned = [][]byte{{1}, {2}}, []int{1} }, ""},
		{"a pinned root that is not there", func(e *Enrolment) { e.MDM.Pinned = []int{0} }, "not among the profile's roots"},
		{"the same root twice", func(e *Enrolment) { e.Roots = [][]byte{{1}, {1}} }, "the same PayloadUUID"},
		{"SCEP over http, known by a fingerprint", func(e *Enrolment) {
			e.Identity = SCEP{URL: "http://a.example/scep", CA: []byte{1}, Subject: Subject{{"CN", "x"}}}
		}, ""},
		{"SCEP over http, unknown", func(e *Enrolment) { e.Identity = SCEP{URL: "http://a.example/scep", Subject: Subject{{"CN", "x"}}} }, "must know the authority"},
		{"a weak key", func(e *Enrolment) {
			e.Identity = SCEP{URL: "https://a.example/scep", KeySize: 1024, Subject: Subject{{"CN", "x"}}}
		}, "Keysize is"},
		{"nobody's subject", func(e *Enrolment) { e.Identity = SCEP{URL: "https://a.example/scep"} }, "needs a Subject"},
		{"ACME", func(e *Enrolment) {
			e.Identity = ACME{DirectoryURL: "https://a.example/acme", ClientIdentifier: "x", Subject: Subject{{"CN", "x"}}, Attest: true}
		}, ""},
		{"ACME over http", func(e *Enrolment) {
			e.Identity = ACME{DirectoryURL: "http://a.example/acme", ClientIdentifier: "x", Subject: Subject{{"CN", "x"}}}
		}, "DirectoryURL must be https"},
		{"PKCS#12", func(e *Enrolment) { e.Identity = PKCS12{Content: []byte{1}, Password: "secret"} }, ""},
		{"PKCS#12 without its password", func(e *Enrolment) { e.Identity = PKCS12{Content: []byte{1}} }, "its password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := plain()
			tt.change(&e)
			_, err := e.Profile()
			refused(t, err, tt.wrong)
		})
	}
}

// refused fails unless err is a refusal that says so, or none if nothing is said.
func refused(t *testing.T, err error, says string) {
	t.Helper()
	refusal, is := domain.Refused(err)
	if says == "" && err != nil || says != "" && (!is || !strings.Contains(refusal.Text, says)) {
		t.Errorf("the answer is %v, want one that says %q", err, says)
	}
}

func TestWhatIsWrongWithAnyEnrolmentProfile(t *testing.T) {
	tests := []struct {
		name   string
		change func(p, mdm Values)
		wrong  string
	}{
		{"two MDM payloads", func(p, mdm Values) {
			second := maps.Clone(mdm)
			second["PayloadUUID"], second["PayloadIdentifier"] = "OTHER", "other"
			p["PayloadContent"] = append(p["PayloadContent"].([]any), second)
		}, "this one has 2"},
		{"no MDM payload", func(p, _ Values) { p["PayloadContent"] = p["PayloadContent"].([]any)[:1] }, "this one has 0"},
		{"an identity that is not there", func(_, mdm Values) { mdm["IdentityCertificateUUID"] = "OTHER" }, "names no identity"},
		{"an identity that is none", func(_, mdm Values) { mdm["IdentityCertificateUUID"] = mdm["PayloadUUID"] }, "names no identity"},
		{"a pin that is not there", func(_, mdm Values) { mdm["ServerURLPinningCertificateUUIDs"] = []any{"OTHER"} }, "names no payload"},
		{"payloads of one name", func(p, mdm Values) {
			mdm["PayloadIdentifier"] = p["PayloadContent"].([]any)[0].(Values)["PayloadIdentifier"]
		}, "the same PayloadIdentifier"},
		{"a nameless payload", func(_, mdm Values) { delete(mdm, "PayloadIdentifier") }, "each payload has"},
		{"rights as a JSON number", func(_, mdm Values) { mdm["AccessRights"] = json.Number("8191") }, ""},
		{"half a right", func(_, mdm Values) { mdm["AccessRights"] = 1.5 }, "AccessRights must be"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := made(t, plain())
			tt.change(p, only(t, p, TypeMDM))
			refused(t, CheckEnrolment(p, false), tt.wrong)
		})
	}
}

func TestWhatCanTakeAnEnrolmentsPlace(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Enrolment)
		wrong  string
	}{
		{"the same", func(*Enrolment) {}, ""},
		{"another challenge", func(e *Enrolment) {
			scep := e.Identity.(SCEP)
			scep.Challenge = "another"
			e.Identity = scep
		}, ""},
		{"one that names its order", func(e *Enrolment) { e.MDM.Renewal = "order-1" }, ""},
		{"less rights", func(e *Enrolment) { e.MDM.AccessRights = 1 }, ""},
		{"more rights", func(e *Enrolment) { e.MDM.AccessRights |= 8 }, "would grow by 8"},
		{"another topic", func(e *Enrolment) { e.MDM.Topic += "2" }, "another Topic"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := plain()
			e.MDM.AccessRights = AllRights &^ 8
			known := Known{e.MDM.Topic, e.MDM.AccessRights}
			tt.change(&e)
			next := made(t, e)
			refused(t, CheckReplacement(known, next), tt.wrong)
			refused(t, CheckReplacement(Known{}, next), "") // of what nothing is known nothing is refused
		})
	}
	if err := CheckReplacement(Known{"com.apple.mgmt.External.1", 1}, Values{"PayloadContent": []any{Values{"PayloadType": TypeSCEP}}}); err != nil {
		t.Errorf("a profile without an MDM payload is refused: %v", err)
	}
}

func TestARenewalSaysWhichOrderItIs(t *testing.T) {
	e := plain()
	e.MDM.Renewal, e.MDM.AccessRights = "ABC-1", 3
	if got := only(t, made(t, e), TypeMDM)["CheckInURL"]; got != "https://mdm.example.com/mdm/checkin?renewal=ABC-1&rights=3" {
		t.Errorf("CheckInURL is %v", got)
	}
}

var uuidForm = regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-5[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)

func TestUUIDsFollowFromTheContent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() Enrolment {
			e := plain()
			e.DisplayName = rapid.SampledFrom([]string{"", "A", "Ünïcode & <b>"}).Draw(t, "name")
			e.Identity = SCEP{
				URL: "https://a.example/scep", Subject: Subject{{"CN", rapid.SampledFrom([]string{"1", "2"}).Draw(t, "subject")}},
				Challenge: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "challenge"),
			}
			e.MDM.AccessRights = rapid.SampledFrom([]int{1, 3}).Draw(t, "rights")
			return e
		}
		a, b := draw(), draw()
		first, err := a.Profile()
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.Profile()
		if err != nil {
			t.Fatal(err)
		}
		if (first["PayloadUUID"] == second["PayloadUUID"]) != reflect.DeepEqual(a, b) {
			t.Fatalf("the UUIDs are %v and %v of %+v and %+v", first["PayloadUUID"], second["PayloadUUID"], a, b)
		}
		if first["PayloadIdentifier"] != second["PayloadIdentifier"] {
			t.Fatal("the identifier changes with the content")
		}
		all := []any{first["PayloadUUID"]}
		for i, one := range first["PayloadContent"].([]any) {
			all = append(all, one.(Values)["PayloadUUID"])
			if one.(Values)["PayloadIdentifier"] != second["PayloadContent"].([]any)[i].(Values)["PayloadIdentifier"] {
				t.Fatal("a payload's identifier changes with the content")
			}
		}
		for i, uuid := range all {
			if !uuidForm.MatchString(uuid.(string)) || slices.Contains(all[:i], uuid) {
				t.Fatalf("the UUIDs are %v", all)
			}
		}
	})
}

func TestServersDoNotShareUUIDs(t *testing.T) {
	here, there := plain(), plain()
	there.Server = "https://mdm.example.org"
	if made(t, here)["PayloadUUID"] == made(t, there)["PayloadUUID"] {
		t.Error("two servers give their profiles the same UUID")
	}
}

// Who knows all but the challenge cannot find it by trying.
func TestUUIDsBetrayNoSecret(t *testing.T) {
	open, keyed, other := plain(), plain(), plain()
	keyed.Stamp = func(words ...string) string { return "one key" + strings.Join(words, "") }
	other.Stamp = func(words ...string) string { return "another key" + strings.Join(words, "") }
	a, b, c := made(t, open)["PayloadUUID"], made(t, keyed)["PayloadUUID"], made(t, other)["PayloadUUID"]
	if a == b || b == c || b != made(t, keyed)["PayloadUUID"] {
		t.Errorf("the UUIDs are %v, %v and %v", a, b, c)
	}
}

// TestVersion5 holds the UUIDs to the example of RFC 9562, appendix A.4.
func TestVersion5(t *testing.T) {
	dns := namespaceURL
	dns[3] = 0x10
	got := version5(dns, []byte("www.example.com"))
	want := [16]byte{0x2e, 0xd6, 0x65, 0x7d, 0xe9, 0x27, 0x56, 0x8b, 0x95, 0xe1, 0x26, 0x65, 0xa8, 0xae, 0xa6, 0xa2}
	if got != want {
		t.Errorf("the UUID is %x, want %x", got, want)
	}
}

func TestTheOverTheAirProfiles(t *testing.T) {
	service, err := Service{Head: plain().Head, URL: "https://mdm.example.com/enroll/ota", Challenge: "once"}.Profile()
	if err != nil {
		t.Fatal(err)
	}
	content, _ := service["PayloadContent"].(Values)
	if service["PayloadType"] != "Profile Service" || content["URL"] != "https://mdm.example.com/enroll/ota" || content["Challenge"] != "once" {
		t.Errorf("the first profile is %v", service)
	}
	if _, err := (Service{Head: plain().Head, URL: "http://mdm.example.com"}).Profile(); err == nil {
		t.Error("a device would be asked for itself over http")
	}
	identity, err := OnlyIdentity(plain().Head, plain().Identity, false)
	if err != nil || len(identity["PayloadContent"].([]any)) != 1 {
		t.Errorf("the second profile is %v: %v", identity, err)
	}
	if _, err := OnlyIdentity(plain().Head, SCEP{}, false); err == nil {
		t.Error("an identity that is none is taken")
	}
	roots, err := OnlyRoots(plain().Head, [][]byte{{1}})
	if err != nil || only(t, roots, TypeRoot)["PayloadContent"].([]byte)[0] != 1 {
		t.Errorf("the trust profile is %v: %v", roots, err)
	}
	if _, err := OnlyRoots(plain().Head, nil); err == nil {
		t.Error("a trust profile with nothing in it is made")
	}
}

package projections

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A tale is what happens to one device, minute by minute.
type tale struct {
	*history
	n int
}

func newTale() *tale {
	t := &tale{history: newHistory()}
	t.add("d", noon, authenticated(1), token(true))
	return t
}

func (t *tale) now() time.Time { return noon.Add(time.Duration(t.n) * time.Minute) }

// send orders a command and lets the device end it with another event.
func (t *tale) send(e device.CommandQueued, ends domain.Event) *tale {
	t.n++
	e.UUID = fmt.Sprint(t.n)
	t.order("d", t.now(), e)
	if ends == nil {
		return t
	}
	t.add("d", t.now(), delivered(e.UUID, e.RequestType, 1, true))
	switch end := ends.(type) {
	case device.CommandAcknowledged:
		end.UUID, end.RequestType = e.UUID, e.RequestType
		ends = end
	case device.CommandFailed:
		end.UUID, end.RequestType = e.UUID, e.RequestType
		ends = end
	case device.CommandCancelled:
		end.UUID, end.RequestType = e.UUID, e.RequestType
		ends = end
	}
	t.add("d", t.now(), ends)
	return t
}

var taken = device.CommandAcknowledged{}

func failed12(text string) device.CommandFailed {
	return device.CommandFailed{ErrorChain: json.RawMessage(`[{"ErrorCode":1,"USEnglishDescription":"` + text + `"}]`)}
}

func answer(result string) device.CommandAcknowledged {
	return device.CommandAcknowledged{Result: json.RawMessage(result)}
}

var wifi = device.Thing{Identifier: "wifi", UUID: "U1", Revision: "r1", Locked: true}

func (t *tale) install(thing device.Thing, ends domain.Event) *tale {
	return t.send(device.CommandQueued{RequestType: "InstallProfile", Brings: thing}, ends)
}

func (t *tale) keys(requestType, parameters string, ends domain.Event) *tale {
	return t.send(device.CommandQueued{RequestType: requestType, Parameters: json.RawMessage(parameters)}, ends)
}

func (t *tale) list(requestType, result string) *tale {
	return t.keys(requestType, `{}`, answer(result))
}

func (t *tale) happens(events ...domain.Event) *tale {
	t.n++
	t.add("d", t.now(), events...)
	return t
}

// inShort writes what is managed in short: kind, identifier, state, and why.
func inShort(list []Managed) string {
	var words []string
	for _, m := range list {
		word := strings.Join([]string{m.Kind, m.Identifier, m.State}, " ")
		if m.Because != "" {
			word += " (" + m.Because + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

func profiles(entries string) string { return `{"ProfileList":[` + entries + `]}` }

const ours = `{"PayloadIdentifier":"wifi","PayloadUUID":"u1","IsManaged":true}`

func TestWhatIsManagedIsToldByLists(t *testing.T) {
	der := []byte("a certificate")
	sum := sha256.Sum256(der)
	fingerprint := hex.EncodeToString(sum[:])
	trust := device.Thing{Identifier: "trust", UUID: "T", Certificates: []string{fingerprint}}
	certificates := `{"CertificateList":[{"Data":"` + base64.StdEncoding.EncodeToString(der) + `"}]}`
	app := func(status string) string {
		return `{"ManagedApplicationList":{"com.app":{"Status":"` + status + `","ManagementFlags":1}}}`
	}
	install := `{"Identifier":"com.app","ManagementFlags":1}`
	for _, c := range []struct {
		name string
		tale *tale
		want string
	}{
		{"ordered", newTale().install(wifi, nil), "PROFILE wifi ORDERED"},
		{"taken back", newTale().install(wifi, device.CommandCancelled{}), ""},
		{"acknowledged is not verified", newTale().install(wifi, taken), "PROFILE wifi ACKNOWLEDGED"},
		{"failed", newTale().install(wifi, failed12("no room.")), "PROFILE wifi FAILED (no room)"},
		{"listed", newTale().install(wifi, taken).list("ProfileList", profiles(ours)), "PROFILE wifi VERIFIED"},
		{"listed by a Mac", newTale().install(wifi, taken).list("ProfileList", profiles(`{"PayloadIdentifier":"wifi"}`)), "PROFILE wifi VERIFIED"},
		{"not listed", newTale().install(wifi, taken).list("ProfileList", profiles("")), "PROFILE wifi MISSING (the device did not list it)"},
		{"listed again", newTale().install(wifi, taken).list("ProfileList", profiles("")).list("ProfileList", profiles(ours)), "PROFILE wifi VERIFIED"},
		{"another edition", newTale().install(wifi, taken).list("ProfileList", profiles(`{"PayloadIdentifier":"wifi","PayloadUUID":"U2","IsManaged":true}`)),
			"PROFILE wifi DIFFERS (the device has another edition of it, PayloadUUID U2)"},
		{"somebody else's", newTale().install(wifi, taken).list("ProfileList", profiles(`{"PayloadIdentifier":"wifi","PayloadUUID":"U1","IsManaged":false}`)),
			"PROFILE wifi MISSING (a profile of that name is there, but it is not managed)"},
		{"managed before this server knew", newTale().list("ProfileList", profiles(ours+`,{"PayloadIdentifier":"home","IsManaged":false}`)), "PROFILE wifi VERIFIED"},
		{"the enrolment profile is none", newTale().list("ProfileList",
			profiles(`{"PayloadIdentifier":"mdm","IsManaged":true,"PayloadContent":[{"PayloadType":"com.apple.mdm"}]}`)), ""},
		{"a new edition that failed leaves the old one", newTale().install(wifi, taken).list("ProfileList", profiles(ours)).install(device.Thing{Identifier: "wifi", UUID: "U2"}, failed12("no")),
			"PROFILE wifi VERIFIED (it was not replaced: no)"},
		{"removed", newTale().install(wifi, taken).keys("RemoveProfile", `{"Identifier":"wifi"}`, taken), "PROFILE wifi REMOVED"},
		{"and there still", newTale().install(wifi, taken).keys("RemoveProfile", `{"Identifier":"wifi"}`, taken).list("ProfileList", profiles(ours)), "PROFILE wifi VERIFIED"},
		{"certificates come with their profile", newTale().install(trust, taken).list("CertificateList", certificates),
			"CERTIFICATE " + fingerprint + " VERIFIED; PROFILE trust ACKNOWLEDGED"},
		{"and go with it", newTale().install(trust, taken).keys("RemoveProfile", `{"Identifier":"trust"}`, taken),
			"CERTIFICATE " + fingerprint + " REMOVED; PROFILE trust REMOVED"},
		{"or with its next edition", newTale().install(trust, taken).install(device.Thing{Identifier: "trust", UUID: "T2"}, taken),
			"CERTIFICATE " + fingerprint + " REMOVED; PROFILE trust ACKNOWLEDGED"},
		{"an app is accepted", newTale().keys("InstallApplication", install, taken), "APP com.app ACKNOWLEDGED"},
		{"an app of the store is named by the answer", newTale().keys("InstallApplication", `{"iTunesStoreID":7}`, answer(`{"Identifier":"com.app","State":"Queued"}`)), "APP com.app ACKNOWLEDGED"},
		{"rejected after all", newTale().keys("InstallApplication", install, answer(`{"RejectionReason":"AppStoreDisabled"}`)), "APP com.app FAILED (AppStoreDisabled)"},
		{"on its way", newTale().keys("InstallApplication", install, taken).list("ManagedApplicationList", app("Installing")), "APP com.app ACKNOWLEDGED"},
		{"there", newTale().keys("InstallApplication", install, taken).list("ManagedApplicationList", app("Managed")), "APP com.app VERIFIED"},
		{"refused by the user", newTale().keys("InstallApplication", install, taken).list("ManagedApplicationList", app("UserRejected")), "APP com.app FAILED (the device tells: UserRejected)"},
		{"thrown away by the user", newTale().keys("InstallApplication", install, taken).list("ManagedApplicationList", app("ManagedButUninstalled")),
			"APP com.app MISSING (the device tells: ManagedButUninstalled)"},
		{"a part of the list says nothing of the rest", newTale().keys("InstallApplication", install, taken).list("ManagedApplicationList", app("Managed")).
			keys("ManagedApplicationList", `{"Identifiers":["com.other"]}`, answer(`{"ManagedApplicationList":{}}`)), "APP com.app VERIFIED"},
		{"a package is told of by no list", newTale().keys("InstallEnterpriseApplication", `{"Manifest":{"items":[{"metadata":{"bundle-identifier":"com.pkg"}}]}}`, taken).
			list("ManagedApplicationList", app("Managed")), "APP com.app VERIFIED; APP com.pkg ACKNOWLEDGED"},
		{"a provisioning profile", newTale().send(device.CommandQueued{RequestType: "InstallProvisioningProfile", Brings: device.Thing{Identifier: "ab"}}, taken).
			list("ProvisioningProfileList", `{"ProvisioningProfileList":[{"UUID":"AB","Name":"x"}]}`), "PROVISIONING_PROFILE ab VERIFIED"},
		{"a book", newTale().keys("InstallMedia", `{"PersistentID":"b","MediaType":"Book"}`, taken).list("ManagedMediaList", `{"Books":[{"PersistentID":"b","State":"Installed"}]}`), "MEDIA b VERIFIED"},
		{"an account", newTale().keys("AccountConfiguration", `{"AutoSetupAdminAccounts":[{"shortName":"admin"}]}`, taken).list("UserList", `{"Users":[{"UserName":"admin"}]}`), "ACCOUNT admin VERIFIED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := folded(t, c.tale.history)
			if got := inShort(must[[]Managed](t)(v.Managed(t.Context(), "d", Now))); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatGoesWithTheEnrolment(t *testing.T) {
	all := func() *tale {
		return newTale().install(wifi, taken).list("ProfileList", profiles(ours)).
			keys("InstallApplication", `{"Identifier":"goes","ManagementFlags":1}`, taken).keys("InstallApplication", `{"Identifier":"stays"}`, taken).
			keys("InstallMedia", `{"PersistentID":"pdf"}`, taken).keys("InstallMedia", `{"iTunesStoreID":7}`, taken).install(device.Thing{Identifier: "late"}, nil)
	}
	for _, c := range []struct {
		name string
		tale *tale
		want string
	}{
		{"CheckOut", all().happens(device.CheckedOut{}), "APP goes GONE (the device checked out); APP stays LEFT (the device checked out); " +
			"MEDIA pdf GONE (the device checked out); MEDIA store/7 LEFT (the device checked out); PROFILE wifi GONE (the device checked out)"},
		{"another enrolment", all().happens(authenticated(2)), "APP goes GONE (the device enrolled anew); APP stays LEFT (the device enrolled anew); " +
			"MEDIA pdf GONE (the device enrolled anew); MEDIA store/7 LEFT (the device enrolled anew); PROFILE wifi GONE (the device enrolled anew)"},
		{"a renewal", all().happens(device.Authenticated{Generation: 1, Renewal: true}),
			"APP goes ACKNOWLEDGED; APP stays ACKNOWLEDGED; MEDIA pdf ACKNOWLEDGED; MEDIA store/7 ACKNOWLEDGED; PROFILE late ORDERED; PROFILE wifi VERIFIED"},
		{"given up", all().happens(device.PresumedUnmanaged{Reason: "silent"}),
			"APP goes PRESUMED_GONE; APP stays ACKNOWLEDGED; MEDIA pdf PRESUMED_GONE; MEDIA store/7 ACKNOWLEDGED; PROFILE late ORDERED; PROFILE wifi PRESUMED_GONE"},
		{"given up, and back", all().happens(device.PresumedUnmanaged{Reason: "silent"}).happens(device.Seen{Polls: 1}),
			"APP goes ACKNOWLEDGED; APP stays ACKNOWLEDGED; MEDIA pdf ACKNOWLEDGED; MEDIA store/7 ACKNOWLEDGED; PROFILE late ORDERED; PROFILE wifi VERIFIED"},
		{"given up, and then it left", all().happens(device.PresumedUnmanaged{Reason: "silent"}).happens(device.CheckedOut{}), "APP goes GONE (the device checked out); APP stays LEFT (the device checked out); " +
			"MEDIA pdf GONE (the device checked out); MEDIA store/7 LEFT (the device checked out); PROFILE wifi GONE (the device checked out)"},
		{"forgotten", all().happens(device.SubjectErased{}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := folded(t, c.tale.history)
			if got := inShort(must[[]Managed](t)(v.Managed(t.Context(), "d", Now))); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// Who installed what, and how it was, is history; as of a moment it is what it was then.
func TestWhoInstalledWhatIsHistory(t *testing.T) {
	h := newTale().install(wifi, taken).list("ProfileList", profiles(ours)).keys("RemoveProfile", `{"Identifier":"wifi"}`, taken)
	v := folded(t, h.history)
	past := must[[]Managed](t)(v.ManagedHistory(t.Context(), "d", "", KindProfile, "wifi"))
	var states []string
	for _, m := range past {
		states = append(states, m.State)
		if m.InstalledBy.Name != "Ada" || m.Command != "1" || !m.Locked && m.State != ManagedOrdered {
			t.Errorf("%+v", m)
		}
	}
	if got := strings.Join(states, " "); got != "ORDERED ACKNOWLEDGED VERIFIED REMOVED" {
		t.Errorf("it was %s", got)
	}
	then := must[[]Managed](t)(v.Managed(t.Context(), "d", past[2].SincePosition))
	if got := inShort(then); got != "PROFILE wifi VERIFIED" || past[3].Removal != "3" || !past[3].Ended() {
		t.Errorf("as of the list: %s; %+v", got, past[3])
	}
}

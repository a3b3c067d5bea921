package enroll_test

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
	"github.com/rollcall-mdm/rollcall/handlers/enroll"
)

func TestAnOperatorGetsAProfileThatAnyClientTakes(t *testing.T) {
	h := build(t)
	rec := h.ask(http.MethodGet, "/enroll/default.mobileconfig?signed=false", nil)
	if !strings.HasPrefix(rec.Body.String(), "<?xml") {
		t.Fatalf("it is not plain XML: %s", rec.Body)
	}
	p := h.profileOf(rec)
	if n := len(p["PayloadContent"].([]any)); n != 2 {
		t.Errorf("%d payloads, want two", n)
	}
	mdm, scep := h.payload(p, "com.apple.mdm"), h.payload(p, "com.apple.security.scep")["PayloadContent"].(map[string]any)
	for key, want := range map[string]any{
		"Topic": topic, "ServerURL": "https://mdm.example.com/mdm/connect", "CheckInURL": "https://mdm.example.com/mdm/checkin?rights=8191",
		"SignMessage": true, "CheckOutWhenRemoved": true, "AccessRights": uint64(8191),
	} {
		if mdm[key] != want {
			t.Errorf("%s is %v, want %v", key, mdm[key], want)
		}
	}
	if scep["URL"] != "https://mdm.example.com/scep" || scep["Keysize"] != uint64(2048) || scep["Key Type"] != "RSA" || scep["Challenge"] == "" {
		t.Errorf("SCEP says %v", scep)
	}
	if g := h.grant(p); g.Once || !g.Lenient || g.Invitation != "default" || g.Road != enrollment.Profile || g.Device != "" {
		t.Errorf("the challenge is good for %+v", g)
	}
	if signed := h.ask(http.MethodGet, "/enroll/default.mobileconfig", nil); !cms.Signed(signed.Body.Bytes()) {
		t.Error("without ?signed=false it is not signed")
	}
	if other := h.payload(h.profileOf(h.ask(http.MethodGet, "/enroll/default.mobileconfig?topic=com.apple.mgmt.External.2", nil)), "com.apple.mdm"); other["Topic"] != "com.apple.mgmt.External.2" {
		t.Errorf("another topic was asked for, and it is %v", other["Topic"])
	}
}

func TestWhoGetsNoProfile(t *testing.T) {
	h := build(t)
	h.invite("gone", enrollment.Terms{Name: "Gone", Expires: noon.Add(time.Hour)})
	h.invite("accounts", enrollment.Terms{Name: "Accounts", Roads: []string{enrollment.Account}})
	for _, c := range []struct {
		name   string
		role   operator.Role
		path   string
		topic  string
		status int
	}{
		{"nobody", "", "/enroll/default.mobileconfig", topic, http.StatusUnauthorized},
		{"who may only look", operator.Viewer, "/enroll/default.mobileconfig", topic, http.StatusForbidden},
		{"by no invitation", operator.Operator, "/enroll/none.mobileconfig", topic, http.StatusNotFound},
		{"by one that has expired", operator.Operator, "/enroll/gone.mobileconfig", topic, http.StatusForbidden},
		{"by one for another road", operator.Operator, "/enroll/accounts.mobileconfig", topic, http.StatusForbidden},
		{"without a push certificate", operator.Operator, "/enroll/default.mobileconfig", "", http.StatusConflict},
		{"with an app's topic", operator.Operator, "/enroll/default.mobileconfig?topic=com.example.app", topic, http.StatusBadRequest},
		{"with a link that was guessed", "", "/enroll/default/AAAA/profile.mobileconfig", topic, http.StatusForbidden},
		{"by another file", operator.Operator, "/enroll/default.plist", topic, http.StatusNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.role, h.topic, h.now = c.role, c.topic, noon.Add(2*time.Hour)
			if rec := h.ask(http.MethodGet, c.path, nil); rec.Code != c.status {
				t.Errorf("the answer is %d %s, want %d", rec.Code, rec.Body, c.status)
			}
		})
		h.now = noon
	}
}

func TestALinkLeadsToProfilesThatAreGoodOnce(t *testing.T) {
	h := build(t)
	h.role = ""
	h.invite("school", enrollment.Terms{Name: "School <3b>", AccessRights: 3, Uses: 2})
	page := h.ask(http.MethodGet, h.link("school"), nil)
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "School &lt;3b&gt;") {
		t.Fatalf("the page is %d %s", page.Code, page.Body)
	}
	found := regexp.MustCompile(`href="(/enroll/school/[^"]+/profile.mobileconfig)"`).FindStringSubmatch(page.Body.String())
	if found == nil {
		t.Fatal("the page does not lead to a profile")
	}
	one, two := h.ask(http.MethodGet, found[1], nil), h.ask(http.MethodGet, found[1], nil)
	if !cms.Signed(one.Body.Bytes()) || one.Header().Get("Cache-Control") != "no-store" || !strings.HasPrefix(one.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("the profile comes as %v", one.Header())
	}
	first, second := h.grant(h.profileOf(one)), h.grant(h.profileOf(two))
	if !first.Once || first.Lenient || first.Invitation != "school" || first.By == second.By {
		t.Errorf("two profiles are good for %+v and %+v", first, second)
	}
	if rights := h.payload(h.profileOf(one), "com.apple.mdm")["AccessRights"]; rights != uint64(3) {
		t.Errorf("the profile asks for the rights %v", rights)
	}
	code := strings.TrimPrefix(h.link("school"), "/enroll/")
	for _, text := range []string{code, "https://mdm.example.com/enroll/" + code, " " + code} {
		if rec := h.ask(http.MethodGet, "/enroll?code="+url.QueryEscape(text), nil); rec.Code != http.StatusSeeOther || !strings.HasSuffix(rec.Header().Get("Location"), h.link("school")) {
			t.Errorf("the code %q leads to %d %s", text, rec.Code, rec.Header().Get("Location"))
		}
	}
	if rec := h.ask(http.MethodGet, "/enroll", nil); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "<form") {
		t.Errorf("the first page is %d %s", rec.Code, rec.Body)
	}
	if rec := h.ask(http.MethodGet, "/enroll?code=nonsense", nil); rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "What you can do") {
		t.Errorf("a wrong code: %d %s", rec.Code, rec.Body)
	}
}

func TestOverTheAir(t *testing.T) {
	h := build(t)
	h.door.Built = append(h.door.Built, h.apple.cert)
	h.invite("field", enrollment.Terms{Name: "Field", Roads: []string{enrollment.OTA}, Uses: 1})
	begin := h.profileOf(h.ask(http.MethodGet, h.link("field")+"/ota.mobileconfig", nil))
	service, _ := begin["PayloadContent"].(map[string]any)
	if begin["PayloadType"] != "Profile Service" || service["URL"] != "https://mdm.example.com/enroll/ota" || service["Challenge"] == "" {
		t.Fatalf("it begins with %v", begin)
	}
	asked := phone.with("CHALLENGE", service["Challenge"])
	for name, digest := range map[string]asn1.ObjectIdentifier{"SHA-1": pkcs7.OIDDigestAlgorithmSHA1, "SHA-512": pkcs7.OIDDigestAlgorithmSHA512} {
		if rec := h.ask(http.MethodPost, "/enroll/ota", h.sign(asked, h.device, digest, h.chain...)); rec.Code != http.StatusOK {
			t.Errorf("signed with %s: %d %s", name, rec.Code, rec.Body)
		}
	}
	second := h.profileOf(h.ask(http.MethodPost, "/enroll/ota", h.told(asked)))
	if n := len(second["PayloadContent"].([]any)); n != 1 {
		t.Errorf("the second profile has %d payloads, want the identity alone", n)
	}
	g := h.grant(second)
	device := h.door.Pseudonyms.Device("U1")
	if g.Road != enrollment.OTA || g.Invitation != "field" || g.Device != device || !g.Once {
		t.Errorf("the identity is good for %+v", g)
	}
	// The device has got its identity: the invitation is used up by it, and lets it go on all the same.
	identity := issue(t, "identity", false, nil)
	h.whose[handlers.Fingerprint(identity.cert)] = enroll.Whose{Invitation: "field", Device: device}
	h.admit("field", enrollment.Admitted{Road: enrollment.OTA, Ticket: g.By, PublicKey: "k", Device: device})
	third := h.deciphered(h.profileOf(h.ask(http.MethodPost, "/enroll/ota", h.sign(asked, identity, pkcs7.OIDDigestAlgorithmSHA256))), identity)
	if h.payload(third, "com.apple.mdm")["Topic"] != topic || h.grant(third).Device != device {
		t.Errorf("the last profile is %v", third)
	}
	strange, other := issue(t, "strange", false, nil), issue(t, "other", false, nil)
	h.whose[handlers.Fingerprint(other.cert)] = enroll.Whose{Invitation: "field", Device: "somebody else"}
	for name, message := range map[string][]byte{
		"another maker's device":       h.sign(asked, strange, pkcs7.OIDDigestAlgorithmSHA256),
		"another device's identity":    h.sign(asked, other, pkcs7.OIDDigestAlgorithmSHA256),
		"no challenge":                 h.told(phone),
		"a challenge of another place": h.told(phone.with("CHALLENGE", "AAAA")),
		"no UDID":                      h.told(asked.with("UDID", "")),
		"a number for a UDID":          h.told(asked.with("UDID", 7)),
		"nothing":                      nil,
		"no message":                   []byte("<plist/>"),
	} {
		if rec := h.ask(http.MethodPost, "/enroll/ota", message); rec.Code < 400 || rec.Code >= 500 || rec.Code == http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	h.now = noon.Add(2 * time.Hour)
	if rec := h.ask(http.MethodPost, "/enroll/ota", h.told(asked)); rec.Code != http.StatusForbidden {
		t.Errorf("two hours later: %d", rec.Code)
	}
}

func TestAutomated(t *testing.T) {
	h := build(t)
	h.door.Built = append(h.door.Built, h.apple.cert)
	p := h.profileOf(h.ask(http.MethodPost, "/enroll/ade", h.told(phone), "Content-Type", "application/pkcs7-signature"))
	if g := h.grant(p); g.Road != enrollment.ADE || g.Invitation != enrollment.Default || g.Device != h.door.Pseudonyms.Device("U1") || !g.Once {
		t.Errorf("the challenge is good for %+v", g)
	}
	header := base64.StdEncoding.EncodeToString(h.told(phone))
	for _, text := range []string{header, strings.TrimRight(header, "=")} {
		h.profileOf(h.ask(http.MethodGet, "/enroll/ade", nil, "x-apple-aspen-deviceinfo", text))
	}
	h.invite("carts", enrollment.Terms{Name: "Carts", Roads: []string{enrollment.ADE}})
	carts := strings.Replace(h.link("carts"), "/enroll/", "/enroll/ade/", 1)
	if g := h.grant(h.profileOf(h.ask(http.MethodPost, carts, h.told(phone)))); g.Invitation != "carts" {
		t.Errorf("by the invitation %s", g.Invitation)
	}
	for name, c := range map[string]struct {
		path    string
		message []byte
		headers []string
	}{
		"another maker's device": {"/enroll/ade", h.sign(phone, issue(t, "strange", false, nil), pkcs7.OIDDigestAlgorithmSHA256), nil},
		"no serial number":       {"/enroll/ade", h.told(phone.with("SERIAL", "")), nil},
		"a link that is guessed": {"/enroll/ade/carts/AAAA", h.told(phone), nil},
		"no message":             {"/enroll/ade", []byte("hello"), nil},
	} {
		if rec := h.ask(http.MethodPost, c.path, c.message, c.headers...); rec.Code < 400 || rec.Code >= 500 || rec.Code == http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	altered := h.told(phone)
	altered[len(altered)-3] ^= 1
	if rec := h.ask(http.MethodPost, "/enroll/ade", altered); rec.Code != http.StatusForbidden {
		t.Errorf("an altered message: %d %s", rec.Code, rec.Body)
	}
	for name, rec := range map[string]int{"a person's browser": h.ask(http.MethodGet, "/enroll/ade", nil).Code, "no base64": h.ask(http.MethodGet, "/enroll/ade", nil, "x-apple-aspen-deviceinfo", "§").Code} {
		if rec != http.StatusBadRequest {
			t.Errorf("%s: %d", name, rec)
		}
	}
}

func TestADeviceWhoseMakerNobodyKnowsIsLetInAndSaidToBe(t *testing.T) {
	h := build(t)
	strange := h.sign(phone, issue(t, "strange", false, nil), pkcs7.OIDDigestAlgorithmSHA256)
	if rec := h.ask(http.MethodPost, "/enroll/ade", strange); rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "--apple-device-ca") {
		t.Errorf("without an invitation: %d %s", rec.Code, rec.Body)
	}
	h.profileOf(h.ask(http.MethodPost, strings.Replace(h.link(enrollment.Default), "/enroll/", "/enroll/ade/", 1), strange))
	if !strings.Contains(h.output.String(), "--apple-device-ca") || strings.Contains(h.output.String(), "C02XYZ") {
		t.Errorf("the log says %s", h.output.String())
	}
}

func TestWhatADeviceHasToDoBefore(t *testing.T) {
	h := build(t)
	h.door.Built = append(h.door.Built, h.apple.cert)
	h.door.OSAtOnce = &enroll.RequiredOS{OSVersion: "18.2"}
	h.door.SSO = &enroll.PlatformSSO{ProfileURL: "https://sso.example.com/p", AuthURL: "https://sso.example.com/a", Package: enroll.PlatformPackage{ManifestURL: "https://sso.example.com/m"}}
	updates := phone.with("MDM_CAN_REQUEST_SOFTWARE_UPDATE", true)
	for name, c := range map[string]struct {
		say  said
		code string // of the answer with 403; empty if it gets its profile
	}{
		"an old system":                    {updates, "com.apple.softwareupdate.required"},
		"an old system that cannot update": {phone, ""},
		"a new system":                     {updates.with("OS_VERSION", "18.2"), ""},
		"a system that nobody knows":       {updates.with("OS_VERSION", ""), ""},
		"a Mac that can sign in":           {phone.with("MDM_CAN_REQUEST_PSSO_CONFIG", true), "com.apple.psso.required"},
	} {
		rec := h.ask(http.MethodPost, "/enroll/ade", h.told(c.say))
		if c.code == "" {
			h.profileOf(rec)
			continue
		}
		var told struct {
			Code    string
			Details map[string]any
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &told); rec.Code != http.StatusForbidden || err != nil || told.Code != c.code || len(told.Details) == 0 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

func TestByAccount(t *testing.T) {
	h := build(t)
	h.role = ""
	if rec := h.ask(http.MethodGet, "/.well-known/com.apple.remotemanagement?user-identifier=ada@example.com", nil); rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), `"com.apple.well-known.failed"`) {
		t.Errorf("where nobody enrols by account: %d %s", rec.Code, rec.Body)
	}
	h.door.Account = "byod"
	discovered := h.ask(http.MethodGet, "/.well-known/com.apple.remotemanagement?user-identifier=ada@example.com&model-family=iPhone", nil)
	if want := `{"Servers":[{"Version":"mdm-byod","BaseURL":"https://mdm.example.com/enroll/account/byod"}]}`; strings.TrimSpace(discovered.Body.String()) != want || !strings.HasPrefix(discovered.Header().Get("Content-Type"), "application/json") {
		t.Errorf("discovered %s", discovered.Body)
	}
	own := said{"PRODUCT": "iPhone15,2", "VERSION": "22B91", "LANGUAGE": "de"}
	rec := h.ask(http.MethodPost, "/enroll/account/byod", h.told(own), "Content-Type", "application/xml")
	if want := `Bearer method="apple-as-web", url="https://mdm.example.com/enroll/account/byod/sign-in"`; rec.Code != http.StatusUnauthorized || rec.Header().Get("WWW-Authenticate") != want {
		t.Fatalf("without a token: %d %s", rec.Code, rec.Header().Get("WWW-Authenticate"))
	}
	form := h.ask(http.MethodGet, "/enroll/account/byod/sign-in?user-identifier=ada%40example.com", nil)
	if form.Code != http.StatusOK || !strings.Contains(form.Body.String(), `value="ada@example.com"`) {
		t.Errorf("the page to sign in: %d %s", form.Code, form.Body)
	}
	signIn := func(account, code string) (int, string) {
		body := url.Values{"account": {account}, "code": {code}}.Encode()
		rec := h.ask(http.MethodPost, "/enroll/account/byod/sign-in", []byte(body), "Content-Type", "application/x-www-form-urlencoded")
		return rec.Code, rec.Header().Get("Location")
	}
	h.invite("staff", enrollment.Terms{Name: "Staff", Roads: []string{enrollment.Account}})
	status, where := signIn("ada@example.com", strings.TrimPrefix(h.link("staff"), "/enroll/"))
	token, ends := strings.CutPrefix(where, "apple-remotemanagement-user-login://authentication-results?access-token=")
	if status != http.StatusPermanentRedirect || !ends {
		t.Fatalf("signed in: %d %s", status, where)
	}
	p := h.profileOf(h.ask(http.MethodPost, "/enroll/account/byod", h.told(own), "Authorization", "Bearer "+token))
	mdm := h.payload(p, "com.apple.mdm")
	if mdm["AssignedManagedAppleID"] != "ada@example.com" || mdm["EnrollmentMode"] != "BYOD" || mdm["AccessRights"] != nil {
		t.Errorf("the profile says %v", mdm)
	}
	if g := h.grant(p); g.Road != enrollment.Account || g.Invitation != "staff" || g.Device != "" {
		t.Errorf("the challenge is good for %+v", g)
	}
	for name, c := range map[string]struct{ account, code string }{
		"no account": {"", strings.TrimPrefix(h.link("staff"), "/enroll/")}, "no code": {"ada@example.com", ""}, "a guess": {"ada@example.com", "staff/AAAA"},
		"not an account": {"Ada <ada@example.com>", strings.TrimPrefix(h.link("staff"), "/enroll/")},
	} {
		if status, where := signIn(c.account, c.code); status < 400 || where != "" {
			t.Errorf("%s: %d %s", name, status, where)
		}
	}
	h.now = noon.Add(2 * time.Hour)
	if rec := h.ask(http.MethodPost, "/enroll/account/byod", h.told(own), "Authorization", "Bearer "+token); rec.Code != http.StatusUnauthorized || rec.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("with an old token: %d", rec.Code)
	}
	if rec := h.ask(http.MethodPost, "/enroll/account/adde", h.told(own)); rec.Code != http.StatusNotFound {
		t.Errorf("the other mode: %d", rec.Code)
	}
}

func TestConfiguratorIsTold(t *testing.T) {
	h := build(t)
	rec := h.ask(http.MethodGet, "/MDMServiceConfig", nil)
	if want := `{"dep_anchor_certs_url":"https://mdm.example.com/enroll/anchors"}`; rec.Body.String() != want {
		t.Errorf("where nobody tells who is a device of Apple's: %s", rec.Body)
	}
	h.door.Built = append(h.door.Built, h.apple.cert)
	rec = h.ask(http.MethodGet, "/MDMServiceConfig", nil)
	if want := `{"dep_anchor_certs_url":"https://mdm.example.com/enroll/anchors","dep_enrollment_url":"https://mdm.example.com/enroll/ade"}`; rec.Body.String() != want || rec.Header().Get("Content-Type") != "application/json; charset=UTF8" {
		t.Errorf("told %s %s", rec.Header().Get("Content-Type"), rec.Body)
	}
	if rec := h.ask(http.MethodGet, "/enroll/anchors", nil); strings.TrimSpace(rec.Body.String()) != "[]" {
		t.Errorf("anchors: %s", rec.Body)
	}
	h.door.Enrolments.Trusted = [][]byte{h.apple.cert.Raw}
	if rec := h.ask(http.MethodGet, "/enroll/anchors", nil); !strings.Contains(rec.Body.String(), base64.StdEncoding.EncodeToString(h.apple.cert.Raw)) {
		t.Errorf("anchors: %s", rec.Body)
	}
	h.payload(h.profileOf(h.ask(http.MethodGet, "/enroll/trust.mobileconfig", nil)), "com.apple.security.root")
	if !strings.Contains(h.ask(http.MethodGet, "/MDMServiceConfig", nil).Body.String(), "trust_profile_url") {
		t.Error("the trust profile is not told")
	}
}

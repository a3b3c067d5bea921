package projections

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

// known writes the facts of an area as key=value.
func known(t *testing.T, v *Views, prefix string, asOf eventstore.Position) string {
	t.Helper()
	var list []string
	for _, f := range must[[]Fact](t)(v.Facts(t.Context(), "d1", prefix, asOf)) {
		list = append(list, strings.TrimPrefix(f.Key, prefix)+"="+string(f.Value))
	}
	return strings.Join(list, " ")
}

func TestWhatAnswersTell(t *testing.T) {
	for _, c := range []struct {
		name, requestType, parameters string
		answers                       []string
		prefix, want                  string
	}{
		{"queries close nothing", "DeviceInformation", "",
			[]string{`{"QueryResponses":{"A":1,"B":"b"}}`, `{"QueryResponses":{"B":"c","C":[1,2]}}`}, "device.", `A=1 B="c" C=[1,2]`},
		{"security is flat", "SecurityInfo", "",
			[]string{`{"SecurityInfo":{"FDE_Enabled":true,"FirewallSettings":{"FirewallEnabled":false,"Applications":[{"b":1,"a":2}]}}}`},
			"security.", `FDE_Enabled=true FirewallSettings.Applications=[{"a":2,"b":1}] FirewallSettings.FirewallEnabled=false`},
		{"apps that are gone are gone", "InstalledApplicationList", "", []string{
			`{"InstalledApplicationList":[{"Identifier":"a","Name":"A"},{"Identifier":"b","DynamicSize":7}]}`,
			`{"InstalledApplicationList":[{"Identifier":"b","DynamicSize":8}]}`}, "application.", `b={"Identifier":"b"}`},
		{"the same app twice", "InstalledApplicationList", "",
			[]string{`{"InstalledApplicationList":[{"Identifier":"a","Version":"1"},{"Identifier":"a","Version":"2"}]}`}, "application.",
			`a={"Identifier":"a","Version":"1"} a#2={"Identifier":"a","Version":"2"}`},
		{"an empty list is complete", "InstalledApplicationList", "", []string{
			`{"InstalledApplicationList":[{"Identifier":"a"}]}`, `{"InstalledApplicationList":[]}`}, "application.", ``},
		{"an answer without the list tells nothing", "InstalledApplicationList", "", []string{
			`{"InstalledApplicationList":[{"Identifier":"a"}]}`, `{}`}, "application.", `a={"Identifier":"a"}`},
		{"managed apps only: the others stay", "InstalledApplicationList", `{"ManagedAppsOnly":true}`, []string{
			`{"InstalledApplicationList":[{"Identifier":"a"}]}`, `{"InstalledApplicationList":[{"Identifier":"b"}]}`}, "application.",
			`a={"Identifier":"a"} b={"Identifier":"b"}`},
		{"some fields only: the others stay", "InstalledApplicationList", `{"Items":["Version"]}`, []string{
			`{"InstalledApplicationList":[{"Identifier":"a","Name":"A","Version":"1"}]}`,
			`{"InstalledApplicationList":[{"Identifier":"a","Version":"2"}]}`}, "application.", `a={"Identifier":"a","Name":"A","Version":"2"}`},
		{"profiles", "ProfileList", "", []string{`{"ProfileList":[{"PayloadIdentifier":"p","SignerCertificates":["AAAA"],"IsManaged":true}]}`},
			"profile.", `p={"IsManaged":true,"PayloadIdentifier":"p"}`},
		{"managed apps are a dictionary", "ManagedApplicationList", "",
			[]string{`{"ManagedApplicationList":{"a":{"Status":"Managed"},"b":{"Status":"Managed"}}}`}, "managed-application.",
			`a={"Status":"Managed"} b={"Status":"Managed"}`},
		{"restrictions", "Restrictions", "", []string{`{"GlobalRestrictions":{"restrictedBool":{"allowCamera":{"value":false}}}}`},
			"restriction.", `restrictedBool.allowCamera.value=false`},
		{"users", "UserList", "", []string{`{"Users":[{"UserName":"anna","DataUsed":5}]}`}, "user.", `anna={"DataUsed":5,"UserName":"anna"}`},
		{"updates", "AvailableOSUpdates", "", []string{`{"AvailableOSUpdates":[{"ProductKey":"k","Version":"18.1"}]}`}, "update.",
			`k={"ProductKey":"k","Version":"18.1"}`},
		{"provisioning profiles", "ProvisioningProfileList", "", []string{`{"ProvisioningProfileList":[{"UUID":"u","Name":"n"}]}`},
			"provisioning-profile.", `u={"Name":"n","UUID":"u"}`},
		{"push tokens are told to nobody", "DeviceInformation", "", []string{`{"QueryResponses":{"PushToken":"AAAA","X":1}}`}, "device.", `X=1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory()
			h.add("d1", noon, device.Authenticated{Generation: 1, Topic: "t"})
			for i, answer := range c.answers {
				order := queued(fmt.Sprint(i), c.requestType)
				if i == len(c.answers)-1 && c.parameters != "" {
					order.Parameters = json.RawMessage(c.parameters)
				}
				h.order("d1", noon, order)
				h.add("d1", noon, delivered(order.UUID, c.requestType, 1, true), answered(order.UUID, c.requestType, answer))
			}
			v := folded(t, h)
			if got := known(t, v, c.prefix, Now); got != c.want {
				t.Errorf("known:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestAFactThatDidNotChangeWritesNothing(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	list := `{"InstalledApplicationList":[{"Identifier":"a","Name":"A"},{"Identifier":"b","Name":"B"}]}`
	again := `{"InstalledApplicationList":[{"Name":"B","Identifier":"b"},{"Name":"A","Identifier":"a"}]}` // in another order
	first := h.told("d1", "1", "InstalledApplicationList", list, noon)
	h.told("d1", "2", "InstalledApplicationList", again, noon)
	v := folded(t, h)
	for _, f := range must[[]Fact](t)(v.Facts(t.Context(), "d1", "application.", Now)) {
		if f.SincePosition != first {
			t.Errorf("%s since %d, want %d", f.Key, f.SincePosition, first)
		}
	}
	for _, key := range []string{"application.a", "enrollment.status"} {
		if l := must[Listing[Fact]](t)(v.History(t.Context(), "d1", key, Page{})); len(l.Edges) > 2 {
			t.Errorf("%s changed %d times", key, len(l.Edges))
		}
	}
}

func TestUsersHaveFactsOfTheirOwn(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	anna := token(true)
	anna.Channel, anna.User = "c1", device.User{UserID: "U1", UserShortName: "anna"}
	h.add("d1", noon, anna)
	h.told("d1", "1", "ProfileList", `{"ProfileList":[{"PayloadIdentifier":"own"}]}`, noon)
	h.order("d1", noon, device.CommandQueued{Channel: "c1", UUID: "2", RequestType: "ProfileList"})
	of := h.add("d1", noon, device.CommandDelivered{Channel: "c1", UUID: "2", RequestType: "ProfileList", Attempt: 1},
		device.CommandAcknowledged{Channel: "c1", UUID: "2", RequestType: "ProfileList", Result: json.RawMessage(`{"ProfileList":[{"PayloadIdentifier":"hers"}]}`)})
	left := h.add("d1", noon, device.CheckedOut{})
	h.add("d1", noon, authenticated(2))
	v := folded(t, h)
	if got := known(t, v, "profile.", Now); got != `own={"PayloadIdentifier":"own"}` {
		t.Errorf("the device's: %s", got)
	}
	if got := known(t, v, "user/c1/", of); got != `enrollment.UserID="U1" enrollment.UserShortName="anna" enrollment.status="ENROLLED" profile.hers={"PayloadIdentifier":"hers"}` {
		t.Errorf("hers: %s", got)
	}
	if got := known(t, v, "user/c1/enrollment.status", left); got != `="CHECKED_OUT"` {
		t.Errorf("when the device had left: %s", got)
	}
	if got := known(t, v, "user/", Now); got != "" {
		t.Errorf("in the next enrolment: %s", got)
	}
	users := must[[]UserChannel](t)(v.Users(t.Context(), "d1", of))
	if len(users) != 1 || users[0].ShortName != "anna" || users[0].ID != "c1" || users[0].LastSeenAt.IsZero() {
		t.Errorf("users: %+v", users)
	}
	if users := must[[]UserChannel](t)(v.Users(t.Context(), "d1", Now)); len(users) != 0 {
		t.Errorf("users of the next enrolment: %+v", users)
	}
}

func TestCertificatesAreNamedByTheirHash(t *testing.T) {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(0x1234), NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0),
	}, &x509.Certificate{}, key.Public(), key))
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	h.told("d1", "1", "CertificateList", `{"CertificateList":[{"CommonName":"Ü","IsIdentity":true,"Data":"`+
		base64.StdEncoding.EncodeToString(der)+`"},{"CommonName":"odd","Data":"AAAA"}]}`, noon)
	v := folded(t, h)
	found := known(t, v, "certificate.", Now)
	for _, want := range []string{`"Serial":"1234"`, `"CommonName":"Ü"`, `"IsIdentity":true`, `"NotAfter":"2027-03-01T12:00:00Z"`, `{"CommonName":"odd"}`} {
		if !strings.Contains(found, want) {
			t.Errorf("%s is not in %s", want, found)
		}
	}
	if strings.Contains(found, "Data") {
		t.Errorf("the certificate's bytes are kept: %s", found)
	}
}

func TestChangesBetweenTwoMoments(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	a := h.told("d1", "1", "InstalledApplicationList", `{"InstalledApplicationList":[{"Identifier":"a","Version":"1"},{"Identifier":"b"},{"Identifier":"d"}]}`, noon)
	h.told("d1", "2", "InstalledApplicationList", `{"InstalledApplicationList":[{"Identifier":"a","Version":"2"},{"Identifier":"c"}]}`, noon.Add(time.Hour))
	b := h.told("d1", "3", "InstalledApplicationList", `{"InstalledApplicationList":[{"Identifier":"a","Version":"3"},{"Identifier":"d"}]}`, noon.Add(2*time.Hour))
	v := folded(t, h)
	changes := must[[]FactChange](t)(v.Changes(t.Context(), "d1", a, b))
	var said []string
	for _, c := range changes {
		said = append(said, fmt.Sprintf("%s %s>%s@%d", c.Key, c.Before, c.After, c.Position))
	}
	want := []string{
		fmt.Sprintf(`application.a {"Identifier":"a","Version":"1"}>{"Identifier":"a","Version":"3"}@%d`, b),
		fmt.Sprintf(`application.b {"Identifier":"b"}>@%d`, b-3),
	}
	if !slices.Equal(said, want) {
		t.Errorf("changes: %q, want %q", said, want)
	}
	back := must[[]FactChange](t)(v.Changes(t.Context(), "d1", b, a))
	if len(back) != 2 || !bytes.Equal(back[0].Before, changes[0].After) {
		t.Errorf("the other way: %+v", back)
	}
	if none := must[[]FactChange](t)(v.Changes(t.Context(), "d1", b, b)); len(none) != 0 {
		t.Errorf("between a moment and itself: %+v", none)
	}
}

func TestPredicates(t *testing.T) {
	for _, c := range []struct {
		fact  string
		op    FactOp
		value string
		holds bool
	}{
		{`"17.10"`, GT, `"17.9"`, true}, {`"17.10"`, LT, `"17.9"`, false}, {`"17"`, EQ, `"17.0"`, true}, {`"17.1"`, GE, `"17.1.0"`, true},
		{`"13.6.1 (a)"`, GE, `"13.6.1"`, true}, {`"Ada"`, LT, `"Bob"`, true}, {`3`, LE, `3.5`, true}, {`10`, GT, `9`, true},
		{`9007199254740993`, GT, `9007199254740992`, true}, {`true`, EQ, `true`, true}, {`true`, NE, `false`, true}, {`"1"`, GT, `0`, false},
		{`"iPad of Ada"`, Contains, `"ada"`, true}, {`[1,"a"]`, Contains, `"a"`, true}, {`{"k":1}`, Contains, `"k"`, true}, {`{"k":1}`, EQ, `{"k":1}`, true},
		{`"x"`, Exists, ``, true}, {`"x"`, Missing, ``, false}, {``, Missing, ``, true}, {``, Exists, ``, false}, {``, NE, `"x"`, false}, {``, EQ, `"x"`, false},
	} {
		f := FactFilter{Key: "k", Op: c.op, Value: json.RawMessage(c.value)}
		if err := f.check(); err != nil {
			t.Errorf("%s %s %s: %v", c.fact, c.op, c.value, err)
		}
		if got, err := f.holds(json.RawMessage(c.fact), c.fact != ""); err != nil || got != c.holds {
			t.Errorf("%s %s %s: %v, %v", c.fact, c.op, c.value, got, err)
		}
	}
	for _, f := range []FactFilter{{Key: "k", Op: "LIKE"}, {Op: EQ, Value: []byte("1")}, {Key: "k", Op: EQ}, {Key: "k", Op: GT, Value: []byte("{")}} {
		if f.check() == nil {
			t.Errorf("%+v was let through", f)
		}
	}
}

func FuzzJSONInPieces(f *testing.F) {
	for _, seed := range []string{`{}`, `[]`, `{"a":[1,{"b":"\"}"}],"c":null}`, `[1,"x",[2]]`, `{"a" : 1 , "b":{} }`, `{"a":1,}`, `[`, `"x"`, `{"a"}`, `[1 2]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := rawjson.Members(raw)
		if whole := map[string]json.RawMessage{}; json.Unmarshal(raw, &whole) == nil {
			if err != nil {
				t.Fatalf("%q: %v", raw, err)
			}
			for _, m := range list {
				delete(whole, m.Name)
			}
			if len(whole) > 0 && whole != nil {
				t.Fatalf("%q: without %v", raw, whole)
			}
		}
		pieces, err := rawjson.Elements(raw)
		if whole := []json.RawMessage{}; json.Unmarshal(raw, &whole) == nil {
			if err != nil || len(pieces) != len(whole) {
				t.Fatalf("%q: %d pieces, %v, want %d", raw, len(pieces), err, len(whole))
			}
			for i := range pieces {
				if !bytes.Equal(pieces[i], bytes.TrimSpace(whole[i])) {
					t.Fatalf("%q: piece %d is %q, want %q", raw, i, pieces[i], whole[i])
				}
			}
		}
	})
}

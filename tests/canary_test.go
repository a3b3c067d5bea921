package tests

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// The names of birds: what is planted where a secret or a capability stands, and where something personal does.
const (
	secretBird   = "SKCANARY"
	personalBird = "PBCANARY"
	pinBird      = "739154" // as secret as the first
)

// songs lists what a bird can look like: as text, and as base64 at each of its three places.
func songs(bird string) (all [][]byte) {
	all = append(all, []byte(bird))
	for shift := range 3 { // only the characters that hang on nothing but the bird
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + bird))
		all = append(all, []byte(text[(8*shift+5)/6:8*(shift+len(bird))/6]))
	}
	return all
}

// An aviary is a server, a Mac, and all that the server answered and printed.
type aviary struct {
	*host
	mac     *mdmtest.Device
	user    *mdmtest.User
	planted int
	refused bytes.Buffer // answers with a status of 400 or above
}

func (a *aviary) secret() string   { a.planted++; return fmt.Sprintf("%s-%d", secretBird, a.planted) }
func (a *aviary) personal() string { a.planted++; return fmt.Sprintf("%s-%d", personalBird, a.planted) }

// send sends a body, and keeps what is said to one that is refused.
func (a *aviary) send(method, path, contentType string, header [2]string, body []byte) []byte {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url()+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set(header[0], header[1])
	req.Header.Set("Prefer", "wait=5")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if resp.StatusCode >= 400 {
		a.refused.Write(answer)
	}
	return answer
}

// says has the Mac say something, on its own channel or its user's.
func (a *aviary) says(path, contentType string, byUser bool, keys map[string]any) []byte {
	a.t.Helper()
	message := map[string]any{"UDID": a.mac.UDID}
	if byUser {
		message["UserID"], message["UserShortName"], message["UserLongName"] = a.user.UserID, a.user.ShortName, a.user.LongName
	}
	for key, value := range keys {
		message[key] = value
	}
	body, err := plist.Marshal(message, plist.XMLFormat)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.raw(path, contentType, body)
}

func (a *aviary) raw(path, contentType string, body []byte) []byte {
	a.t.Helper()
	name, value := a.mac.Proof.Fixed(a.mac.Identity)
	return a.send(http.MethodPut, path, contentType, [2]string{name, value}, body)
}

func (a *aviary) checksIn(kind string, byUser bool, keys map[string]any) {
	a.t.Helper()
	keys["MessageType"] = kind
	a.says("/mdm/checkin", "application/x-apple-aspen-mdm-checkin", byUser, keys)
}

// connects says a status, and returns the UUID of the command that is delivered.
func (a *aviary) connects(byUser bool, keys map[string]any) string {
	a.t.Helper()
	answer := a.says("/mdm/connect", "application/x-apple-aspen-mdm", byUser, keys)
	var delivered struct{ CommandUUID string }
	_, _ = plist.Unmarshal(answer, &delivered)
	return delivered.CommandUUID
}

// asks asks by GraphQL.
func (a *aviary) asks(document string) []byte {
	a.t.Helper()
	return a.send(http.MethodPost, "/graphql", "application/json", [2]string{"Authorization", "Bearer " + a.token()}, []byte(`{"query":`+quoted(document)+`}`))
}

func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", " ").Replace(text) + `"`
}

// place puts a value at a path of the catalogue's into a dictionary.
func place(dict map[string]any, path string, value any) {
	head, rest, deeper := strings.Cut(path, ".")
	name, label, list := strings.Cut(head, "[")
	label = strings.TrimSuffix(label, "]")
	if name == "*" {
		name = "com.example.any"
	}
	if !deeper && !list {
		dict[name] = value
		return
	}
	if list {
		inner := map[string]any{}
		if old, is := dict[name].([]any); is && len(old) > 0 {
			inner, _ = old[0].(map[string]any)
		}
		if label != "" {
			inner = map[string]any{"Item": label}
		}
		if deeper {
			place(inner, rest, value)
		}
		if before, is := dict[name].([]any); is && label != "" {
			dict[name] = append(before, inner)
		} else {
			dict[name] = []any{inner}
		}
		return
	}
	inner, is := dict[name].(map[string]any)
	if !is {
		inner = map[string]any{}
	}
	place(inner, rest, value)
	dict[name] = inner
}

// capabilities are keys of commands that are no secrets, and open something all the same.
var capabilities = map[string][]string{
	"InviteToProgram": {"InvitationURL"}, "InstallApplication": {"ManifestURL"}, "InstallEnterpriseApplication": {"ManifestURL"}, "InstallMedia": {"MediaURL"},
}

// filled returns a dictionary with a bird at every key that is secret, and a personal one at every other text.
func (a *aviary) filled(requestType string, keys []command.Key) map[string]any {
	dict := map[string]any{}
	for _, k := range keys {
		var text string
		switch {
		case k.Secret || contains(capabilities[requestType], k.Path):
			text = a.secret()
		case k.Type == "string" && len(k.Allowed) == 0 && !strings.Contains(k.Path, "["):
			text = a.personal()
		default:
			continue
		}
		if k.Type == "data" {
			place(dict, k.Path, []byte(text))
		} else if k.Type == "dict" {
			place(dict, k.Path, map[string]any{"Password": text, "AnyKey": text})
		} else {
			place(dict, k.Path, text)
		}
	}
	return dict
}

func contains(list []string, one string) bool {
	for _, each := range list {
		if each == one {
			return true
		}
	}
	return false
}

// enrols sends all check-in messages that there are, with birds in all that they can hold.
func (a *aviary) enrols() {
	a.checksIn("Authenticate", false, map[string]any{
		"Topic": mdmtest.DefaultTopic, "SerialNumber": a.personal(), "IMEI": a.personal(), "MEID": a.personal(), "DeviceName": a.personal(),
		"OSVersion": "15.1", "ProductName": "Mac14,2", "Challenge": a.secret()[len(secretBird):], "UnknownKey": map[string]any{"Inner": a.personal()},
	})
	a.checksIn("TokenUpdate", false, map[string]any{
		"Topic": mdmtest.DefaultTopic, "Token": []byte(a.secret()), "PushMagic": a.secret(), "UnlockToken": []byte(a.secret()), "AnotherKey": a.personal(), "AnotherPassword": a.secret(), "Inner": map[string]any{"RecoveryKey": []byte(a.secret())},
	})
	a.checksIn("TokenUpdate", true, map[string]any{"Topic": mdmtest.DefaultTopic, "Token": []byte(a.secret()), "PushMagic": a.secret()})
	a.checksIn("UserAuthenticate", true, map[string]any{"DigestResponse": a.secret(), "AuthToken": a.secret()})
	a.checksIn("SetBootstrapToken", false, map[string]any{"BootstrapToken": []byte(a.secret())})
	a.checksIn("GetBootstrapToken", false, map[string]any{})
	a.checksIn("GetToken", false, map[string]any{"TokenServiceType": "com.apple.maid", "TokenParameters": map[string]any{"SecurityToken": a.secret(), "PhoneUDID": a.personal()}})
	a.checksIn("DeclarativeManagement", false, map[string]any{"Endpoint": "status", "Data": []byte(`{"StatusItems":{"device":{"identifier":{"serial-number":"` + a.personal() + `"}},"mdm":{"push-magic":"` + a.secret() + `"}}}`)})
	a.checksIn("ReturnToService", false, map[string]any{"BootstrapToken": []byte(a.secret())})
}

// errs sends what is refused: its birds must not come back in the answers, nor be printed.
func (a *aviary) errs() {
	checkIn, connect := "application/x-apple-aspen-mdm-checkin", "application/x-apple-aspen-mdm"
	a.checksIn("NeverHeardOf", false, map[string]any{"Password": a.secret(), "Name": a.personal()})
	a.checksIn("TokenUpdate", false, map[string]any{"Topic": mdmtest.DefaultTopic, "Token": a.secret(), "PushMagic": []byte(a.secret())})
	a.checksIn("SetBootstrapToken", false, map[string]any{"BootstrapToken": a.secret()})
	a.raw("/mdm/checkin", checkIn, []byte("<plist><dict><key>UDID</key><string>"+a.mac.UDID+"</string><key>UnlockToken</key><data>"+a.secret()))
	a.raw("/mdm/checkin", checkIn, []byte(a.secret()))
	a.raw("/mdm/connect", connect, []byte("bplist00"+a.secret()))
	a.connects(false, map[string]any{"Status": "Acknowledged", "CommandUUID": "never-sent", "PIN": a.secret(), "UserName": a.personal()})
	a.connects(false, map[string]any{"Status": []string{a.secret()}})
	a.send(http.MethodPut, "/mdm/checkin", checkIn, [2]string{"X-Ssl-Client-Cert", a.secret()}, []byte(a.secret()))
	a.send(http.MethodPut, "/mdm/checkin", checkIn, [2]string{"Mdm-Signature", a.secret()}, []byte(a.secret()))
	a.send(http.MethodPost, "/graphql", "application/json", [2]string{"Authorization", "Bearer " + a.secret()}, []byte(`{"query":"{ me { id } }"}`))
	a.send(http.MethodGet, "/v1/push/"+a.mac.UDID, "", basic(a.secret()), nil)
	a.send(http.MethodPut, "/v1/enqueue/"+a.mac.UDID, "", basic(a.token()), []byte("<plist><dict><key>PIN</key><string>"+a.secret()))
	a.send(http.MethodPut, "/v1/pushcert", "", basic(a.token()), []byte("-----BEGIN PRIVATE KEY-----\n"+a.secret()))
	a.asks(`mutation { deviceLock(devices: ["` + a.mac.UDID + `"], PIN: "` + a.secret() + `") { commands { uuid } } }`)
	a.asks(`mutation { sendCommand(input: {requestType: "DeviceLock", parameters: {PIN: {x: "` + a.secret() + `"}}, devices: ["` + a.mac.UDID + `"]}) { commands { uuid } } }`)
	a.asks(`mutation { revokeToken(id: "` + a.secret() + `", reason: 7) { id } }`)
}

// orders has each of Apple's commands that can hold a bird ordered as a property list, fetched and answered.
func (a *aviary) orders() {
	for _, spec := range command.Catalog() {
		for _, status := range []string{"Acknowledged", "Error"} {
			uuid := mdmtest.NewUUID()
			keys := a.filled(spec.Type, spec.Request)
			keys["RequestType"] = spec.Type
			body, err := plist.Marshal(map[string]any{"CommandUUID": uuid, "Command": keys}, plist.XMLFormat)
			if err != nil {
				a.t.Fatal(err)
			}
			a.send(http.MethodPut, "/v1/enqueue/"+a.mac.UDID+"?nopush=1", "", basic(a.token()), body)
			if got := a.connects(false, map[string]any{"Status": "Idle"}); got != uuid {
				a.t.Fatalf("%s was not delivered, but %q", spec.Type, got)
			}
			answer := a.filled(spec.Type, spec.Response)
			answer["Status"], answer["CommandUUID"] = status, uuid
			answer["QueryResponses"] = map[string]any{"DeviceName": a.personal(), "PushToken": []byte(a.secret()), "WiFiMAC": a.personal()}
			answer["Password"], answer["New"] = a.secret(), map[string]any{"LoginPIN": a.secret(), "WiFi-PSK": []byte(a.secret())} // which no catalogue knows
			if status == "Error" {
				answer["ErrorChain"] = []any{map[string]any{"ErrorCode": 1, "ErrorDomain": "d", "LocalizedDescription": a.personal(), "USEnglishDescription": a.personal()}}
			}
			a.connects(false, answer)
		}
	}
	a.typed()
}

// typed orders by GraphQL, and something that the catalogue does not know.
func (a *aviary) typed() {
	a.asks(`mutation { deviceLock(device: "` + a.mac.UDID + `", pin: "` + pinBird + `", reason: "` + a.personal() + `") { uuid } }`)
	a.asks(`mutation { sendCommand(input: {requestType: "SetRecoveryLock", parameters: {NewPassword: "` + a.secret() + `"}, devices: ["` + a.mac.UDID + `"]}) { commands { uuid } } }`)
	future, err := plist.Marshal(map[string]any{"CommandUUID": "future", "Command": map[string]any{"RequestType": "FutureCommand", "Password": a.secret(), "Other": a.secret()}}, plist.XMLFormat)
	if err != nil {
		a.t.Fatal(err)
	}
	a.send(http.MethodPut, "/v1/enqueue/"+a.mac.UDID+"?nopush=1", "", basic(a.token()), future)
	for uuid := a.connects(false, map[string]any{"Status": "Idle"}); uuid != ""; {
		answer := map[string]any{"Status": "Acknowledged", "CommandUUID": uuid, "Something": a.personal()}
		if uuid == "future" { // of which nobody knows what is secret: all is
			answer["Password"] = a.secret()
		}
		uuid = a.connects(false, answer)
	}
	a.asks(`mutation { cancelCommand(uuid: "` + mdmtest.NewUUID() + `", reason: "` + a.personal() + `") { uuid } }`)
}

// quiet wants no bird to sing in a text.
func (a *aviary) quiet(where string, text []byte, birds ...string) {
	a.t.Helper()
	for _, bird := range append(birds, secretBird, pinBird) {
		for _, song := range songs(bird) {
			if at := heard(text, song); at >= 0 {
				a.t.Errorf("%s: %s is sung: …%q…", where, bird, text[max(0, at-80):min(len(text), at+40)])
			}
		}
	}
}

// heard returns where a song begins; -1 if nowhere. Six digits in the midst of a hash or a time are none.
func heard(text, song []byte) int {
	for from := 0; ; {
		at := bytes.Index(text[from:], song)
		if at < 0 {
			return -1
		}
		at += from
		after := at + len(song)
		if string(song) != pinBird || !(at > 0 && isHex(text[at-1])) && !(after < len(text) && isHex(text[after])) {
			return at
		}
		from = after
	}
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

// quietIn wants no bird to sing in the files of a directory.
func (a *aviary) quietIn(dir string, except string, birds ...string) {
	a.t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() || except != "" && strings.HasPrefix(info.Name(), except) {
			return err
		}
		text, err := os.ReadFile(path)
		a.quiet(path, text, birds...)
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

// TestNoCanarySings (T81) plants a bird in every secret, capable and personal field of all messages, and listens: in
// databases, logs at their most talkative, metrics, answers to what is refused, exports, backups and the dump of a
// crash. Only the views' file may know what is personal.
func TestNoCanarySings(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.more, h.env = []string{"--log-level", "debug"}, []string{"GOTRACEBACK=all"}
	h.start()
	mac := h.fleet(mdmtest.Fleet{Size: 1, Seed: 3, Mix: []mdmtest.Platform{mdmtest.MacOS}})[0]
	a := &aviary{host: h, mac: mac, user: mac.AddUser(personalBird+"-short", personalBird+"-long")}
	a.enrols()
	a.orders()
	a.errs()
	a.quiet("the answers to what was refused", a.refused.Bytes(), personalBird)
	if a.refused.Len() < 500 {
		t.Errorf("only %d bytes of refusals were heard", a.refused.Len())
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/version", "/log/checkpoint"} {
		a.quiet(path, a.send(http.MethodGet, path, "", basic(a.token()), nil), personalBird)
	}
	told := a.asks(`{ device(id: "` + mac.UDID + `") { timeline(last: 1000) { edges { node { summary data } } } commands(first: 1000) { edges { node { parameters result errorChain } } }
		facts { key value } users { shortName } secrets { kind } } }`)
	a.quiet("GraphQL", told)
	if !bytes.Contains(told, []byte(personalBird)) {
		t.Errorf("GraphQL tells of nobody: %s", told)
	}
	dir := t.TempDir()
	a.take("audit", "export", "--data", h.data, "--out", filepath.Join(dir, "bundle"))
	a.take("backup", "--data", h.data, "--out", filepath.Join(dir, "backup"), "--with-keys")
	a.quietIn(dir, "", personalBird)
	a.quietIn(h.data, "views.db", personalBird)
	a.quietIn(h.data, "")
	a.crash()
	a.quiet("what the server printed, its crash included", []byte(h.said.String()), personalBird)
	a.quietIn(h.data, "views.db", personalBird)
	a.blindWithoutMaster(dir)
	t.Logf("%d birds were planted, and did not sing", a.planted)
}

// take runs a command of the program that must go well, and does not talk.
func (a *aviary) take(args ...string) {
	a.t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		a.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	a.quiet(fmt.Sprint(args), out, personalBird)
}

// crash ends the server with the dump of all its goroutines.
func (a *aviary) crash() {
	a.t.Helper()
	if err := a.process.Process.Signal(syscall.SIGQUIT); err != nil {
		a.t.Fatal(err)
	}
	_ = a.process.Wait()
	a.process = nil
	if said := a.said.String(); !strings.Contains(said, "SIGQUIT: quit") || strings.Count(said, "goroutine ") < 10 {
		a.t.Errorf("it left no dump:\n%s", said)
	}
}

// blindWithoutMaster wants a backup that lacks the master key to open nothing.
func (a *aviary) blindWithoutMaster(dir string) {
	a.t.Helper()
	backup := filepath.Join(dir, "backup")
	if err := os.Remove(filepath.Join(backup, "master.key")); err != nil {
		a.t.Fatal(err)
	}
	for _, args := range [][]string{{"replay"}, {"verify"}, {"keys", "rotate"}} {
		out, err := exec.Command(program, append(args, "--data", backup)...).CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("master.key is missing")) {
			a.t.Errorf("%v without the master key: %v\n%s", args, err, out)
		}
		a.quiet(fmt.Sprint(args), out, personalBird)
	}
	if _, err := os.Stat(filepath.Join(backup, "master.key")); err == nil {
		a.t.Error("a master key was made, which opens nothing")
	}
}

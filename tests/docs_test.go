package tests

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
)

// A block is what a page of the documentation shows between fences.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// blocks returns the blocks of a page in one language, in order.
func blocks(t *testing.T, page, language string) (list []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			list = append(list, block{m[1], m[2]})
		}
	}
	return list
}

// take returns the one block that holds a text.
func take(t *testing.T, list []block, holds string) string {
	t.Helper()
	at := slices.IndexFunc(list, func(b block) bool { return strings.Contains(b.text, holds) })
	if at < 0 {
		t.Fatalf("no example holds %q any more", holds)
	}
	return list[at].text
}

// A reader does what the documentation says, in an empty directory, with a server that answers as mdm.example.com.
type reader struct {
	t    *testing.T
	dir  string
	port string
	apns string // a make-believe Apple's: nothing is sent anywhere else
	s    *story // who has the devices, and the server while it runs
}

// TestTheDocumentationDoesNotLie types every example of README and docs/api.md, and those of other pages that are taken below, as
// they stand. Only the port is another one, and the devices are make-believe.
func TestTheDocumentationDoesNotLie(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here: the documentation's examples were NOT tried")
	}
	r := newReader(t)
	readme, operations, proof := blocks(t, "README.md", "sh"), blocks(t, "docs/operations.md", "sh"), blocks(t, "docs/proof.md", "sh")
	here := strings.NewReplacer("/backup/", "backup/", "/vault/", "vault/")

	r.serve(take(t, readme, "--tls-cert") + " --device-ca ca.pem")
	r.enrol("UDID", "C02XYZ")
	r.enrol("OTHER", "C02ABC")
	if said := r.sh(take(t, readme, "TOKEN=")); !strings.Contains(said, `"status":"ENROLLED"`) || !strings.Contains(said, "command_uuid") {
		t.Errorf("README's curl commands say:\n%s", said)
	}
	for _, b := range blocks(t, "docs/api.md", "graphql") {
		for _, operation := range operationsIn(b.text) {
			r.graphql(operation)
		}
	}
	if said := r.sh(take(t, operations, "rollcall invitation make")); strings.Count(said, "no mail server is set") != 3 || strings.Count(said, "/enroll/") != 2 {
		t.Errorf("invitations by mail say:\n%s", said)
	}
	r.sh(here.Replace(take(t, operations, "rollcall backup")))
	if said := r.sh(take(t, proof, "--show")); !strings.Contains(said, "were disclosed, and are what was sealed") || !strings.Contains(said, "C02XYZ") {
		t.Errorf("a disclosure in the bundle says:\n%s", said)
	}
	if said := r.sh(take(t, proof, "--disclosed")); !strings.Contains(said, "sealed parts, as they were appended") {
		t.Errorf("a disclosure apart from the bundle says:\n%s", said)
	}
	if said := r.sh(here.Replace(take(t, operations, "keys rotate"))); strings.Count(said, "wrapped anew") != 2 {
		t.Errorf("two rotations say:\n%s", said)
	}
	r.end()

	r.sh(take(t, operations, "rollcall token create"))
	said := r.sh(take(t, readme, "audit export"))
	for _, want := range []string{"Olga’s iPad", "is gone"} {
		if !strings.Contains(said, want) {
			t.Errorf("README's look at the past does not say %q:\n%s", want, said)
		}
	}
	r.serve(strings.Replace(take(t, readme, "--plain-http"), "127.0.0.1:8080", "127.0.0.1:"+r.port, 1))
	r.end()
}

func newReader(t *testing.T) *reader {
	t.Helper()
	people, err := newPeople()
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, dir: t.TempDir(), port: port}
	r.s = &story{dir: r.dir, people: people, last: map[string]string{}}
	t.Cleanup(r.s.end)
	apple, err := apnstest.Start(apnstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = apple.Close() })
	certificate, key, err := apple.PushCertificate("com.apple.mgmt.External.1", time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	chain, chainKey := webCertificate(t)
	r.apns = apple.URL
	r.write("apple.pem", apple.CA)
	r.write("push.pem", certificate)
	r.write("push.key", key)
	r.write("chain.pem", chain)
	r.write("key.pem", chainKey)
	r.write("ca.pem", people.root)
	r.write("command.plist", []byte(`<plist version="1.0"><dict><key>CommandUUID</key><string>0F0F</string>`+
		`<key>Command</key><dict><key>RequestType</key><string>ProfileList</string></dict></dict></plist>`))
	r.write("bin/curl", fmt.Appendf(nil, "#!/bin/sh\nPATH=%q\nexec curl -sS -k --fail-with-body --connect-to mdm.example.com:443:127.0.0.1:%s \"$@\"\n",
		os.Getenv("PATH"), port))
	for _, dir := range []string{"backup", "vault"} {
		if err := os.Mkdir(filepath.Join(r.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(program, filepath.Join(r.dir, "bin", "rollcall")); err != nil {
		t.Fatal(err)
	}
	return r
}

// webCertificate makes a certificate for mdm.example.com and its key, PEM.
func webCertificate(t *testing.T) (chain, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := issue(&x509.Certificate{Subject: pkix.Name{CommonName: "mdm.example.com"}, DNSNames: []string{"mdm.example.com"}}, nil, private, private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (r *reader) write(name string, text []byte) {
	r.t.Helper()
	file := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o700); err != nil {
		r.t.Fatal(err)
	}
}

// shell prepares a script in the directory, with its bin on the path.
func (r *reader) shell(script string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), "sh", "-e", "-c", script)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), "PATH="+filepath.Join(r.dir, "bin")+":"+os.Getenv("PATH"),
		"ROLLCALL_APNS="+r.apns, "ROLLCALL_APNS_CA=apple.pem")
	return cmd
}

// endless are the lines that go on until somebody presses Ctrl-C.
var endless = regexp.MustCompile(`(?m)^(.* --follow .*)$`)

// sh runs an example and returns what it prints. It is to succeed, each line of it; what would go on for ever is
// interrupted, and is to end well.
func (r *reader) sh(script string) string {
	r.t.Helper()
	script = endless.ReplaceAllString(script, "timeout --signal=INT --preserve-status 2 $1")
	out, err := r.shell(script).CombinedOutput()
	if err != nil {
		r.t.Errorf("%s\nfails: %v\n%s", script, err, out)
	}
	return string(out)
}

// serve starts the server as the example says, on this test's port, and waits until it is ready.
func (r *reader) serve(example string) {
	r.t.Helper()
	words := strings.Join(strings.Fields(strings.ReplaceAll(example, "\\\n", " ")), " ")
	r.s.url = "https://127.0.0.1:" + r.port
	if strings.Contains(words, "--plain-http") {
		r.s.url = "http://127.0.0.1:" + r.port
	} else {
		words += " --listen 127.0.0.1:" + r.port
	}
	var err error
	if r.s.output, err = os.Create(filepath.Join(r.dir, "server.out")); err != nil {
		r.t.Fatal(err)
	}
	r.s.server = r.shell("exec " + words)
	r.s.server.Stdout, r.s.server.Stderr = r.s.output, r.s.output
	if err = r.s.server.Start(); err == nil {
		err = r.s.ready()
	}
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", words, err, r.s.printed())
	}
}

func (r *reader) end() {
	r.t.Helper()
	if err := r.s.endServer(io.Discard, nil); err != nil {
		r.t.Fatalf("the server did not end well: %v\n%s", err, r.s.printed())
	}
}

func (r *reader) enrol(udid, serial string) {
	r.t.Helper()
	for _, message := range [][]string{
		{"Authenticate", "Topic=com.apple.mgmt.External.1", "SerialNumber=" + serial, "DeviceName=Olga’s iPad", "OSVersion=18.1", "ProductName=iPad14,8"},
		{"TokenUpdate", "Topic=com.apple.mgmt.External.1", "Token@=token", "PushMagic=magic", "UnlockToken@=unlock"},
	} {
		if err := r.s.checkin(io.Discard, append([]string{"-by", "signature", udid}, message...)); err != nil {
			r.t.Fatalf("enrol %s: %v", udid, err)
		}
	}
}

// operationsIn returns the operations that a block shows: each begins a line, the first or one after another's end.
func operationsIn(text string) (list []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "{") || strings.HasPrefix(line, "mutation") || strings.HasPrefix(line, "query") || len(list) == 0 {
			list = append(list, "")
		}
		list[len(list)-1] += line
	}
	return list
}

// graphql asks with the administrator's token. "…" stands for the command that was ordered last.
func (r *reader) graphql(operation string) {
	r.t.Helper()
	token, err := os.ReadFile(filepath.Join(r.dir, "data", "admin-token"))
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"query": strings.ReplaceAll(operation, `"…"`, `"`+r.s.last["docs"]+`"`)})
	if err != nil {
		r.t.Fatal(err)
	}
	var out bytes.Buffer
	err = r.s.call(&out, http.MethodPost, "/graphql", "Bearer "+strings.TrimSpace(string(token)), "application/json", body)
	if err != nil || strings.Contains(out.String(), `"errors"`) || strings.Contains(out.String(), "\"refused\": [\n") {
		r.t.Errorf("%s\nis answered %v\n%s", operation, err, &out)
	}
	if m := regexp.MustCompile(`"uuid": "([^"]+)"`).FindStringSubmatch(out.String()); m != nil {
		r.s.last["docs"] = m[1]
	}
}

package tests

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// patience is how long a story waits for what must come to pass, on a machine that has much else to do.
const patience = time.Minute

// A story is what one script has going: a server, its devices, and Apple.
type story struct {
	dir    string
	people *people
	server *exec.Cmd
	output *os.File // what the server prints
	url    string
	apple  *apple
	store  *esdbtest.Server  // nil if the log is in the data directory
	keys   int               // of deviceKeys that were used
	last   map[string]string // the CommandUUID that was delivered last, by device or device/user
}

type storyKey struct{}

// begin gives each story a directory, a device CA and no server yet.
func begin(env *testscript.Env) error {
	p, err := newPeople()
	if err != nil {
		return err
	}
	s := &story{dir: env.WorkDir, people: p, last: map[string]string{}}
	env.Values[storyKey{}] = s
	env.Setenv("ROLLCALL", program)
	env.Setenv("AWKWARD", awkward())
	env.Setenv("LONG", strings.Repeat("x", 70_000))
	env.Defer(s.end)
	return os.WriteFile(filepath.Join(env.WorkDir, "device-ca.pem"), p.root, 0o600)
}

// awkward is the file of awkward devices that operations.md tells of.
func awkward() string {
	file, _ := filepath.Abs("testdata/awkward.script") // fails only without a working directory
	return file
}

func (s *story) end() {
	if s.server != nil {
		_ = s.server.Process.Kill()
		_ = s.server.Wait()
	}
	if s.apple != nil {
		s.apple.close()
	}
	if s.store != nil {
		s.store.Close()
	}
}

// commands are the words of a story; each is explained where it stands.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"apple":    word((*story).startApple),
	"serve":    word((*story).serve),
	"end":      word((*story).endServer),
	"crash":    word((*story).crash),
	"output":   word((*story).printOutput),
	"checkin":  word((*story).checkin),
	"connect":  word((*story).connect),
	"send":     word((*story).send),
	"promise":  word((*story).promise),
	"times":    word((*story).times),
	"graphql":  word((*story).graphql),
	"api":      word((*story).api),
	"expect":   expect,
	"keep":     keep,
	"login":    login,
	"enrol":    word((*story).enrol),
	"scep":     word((*story).scep),
	"pushes":   word((*story).pushes),
	"faults":   word((*story).faults),
	"apns":     word((*story).apns),
	"attempts": word((*story).attempts),
	"store":    word((*story).storeWord),
}

// errRefused says that a request was answered with a status of 400 or above.
var errRefused = errors.New("the request was refused")

// word makes a command of a story: `! word` expects a refusal, and nothing else may go wrong.
func word(do func(s *story, out io.Writer, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := ts.Value(storyKey{}).(*story)
		err := do(s, ts.Stdout(), args)
		ts.Setenv("URL", s.url) // for programs that the story runs
		switch {
		case neg && err == nil:
			ts.Fatalf("a refusal was expected, and none came")
		case neg && errors.Is(err, errRefused):
		case err != nil:
			ts.Fatalf("%v\n%s", err, s.printed())
		}
	}
}

// words are what can be expected.
var words = map[string]func(*story, io.Writer, []string) error{
	"graphql": (*story).graphql, "api": (*story).api, "connect": (*story).connect, "output": (*story).printOutput,
	"pushes": (*story).pushes, "attempts": (*story).attempts,
}

// expect REGEXP WORD ARGS… says a word again and again until what it prints matches.
func expect(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || words[args[1]] == nil {
		ts.Fatalf("usage: expect REGEXP WORD ARGS…")
	}
	s := ts.Value(storyKey{}).(*story)
	do, want := words[args[1]], regexp.MustCompile("(?s)"+args[0])
	var out bytes.Buffer
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		out.Reset()
		if err := do(s, &out, args[2:]); err != nil && !errors.Is(err, errRefused) {
			ts.Fatalf("%v\n%s", err, s.printed())
		}
		if want.Match(out.Bytes()) {
			_, _ = ts.Stdout().Write(out.Bytes())
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("%s never came to pass; the last answer was:\n%s\n%s", args[0], out.String(), s.printed())
}

// serve [FLAGS…] starts the server on the story's data directory and waits until it is ready.
func (s *story) serve(_ io.Writer, args []string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.url = "http://127.0.0.1:" + port
	if slices.Contains(args, "--dev-tls") {
		s.url = "https://127.0.0.1:" + port
	} else {
		args = append([]string{"--plain-http"}, args...)
	}
	flags := []string{"serve", "--data", "data", "--listen", "127.0.0.1:" + port, "--url", s.url, "--device-ca", "device-ca.pem"}
	if !slices.Contains(args, "--identity") {
		flags = append(flags, "--identity", "header:X-Ssl-Client-Cert,signature")
	}
	if !slices.Contains(args, "--trusted-proxy") {
		flags = append(flags, "--trusted-proxy", "127.0.0.0/8")
	}
	if s.apple != nil {
		flags = append(flags, "--apns", s.apple.url(), "--apns-ca", s.apple.rootFile)
	}
	if err := giveRoot(filepath.Join(s.dir, "data")); err != nil {
		return err
	}
	if s.output, err = os.OpenFile(filepath.Join(s.dir, "server.out"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
		return err
	}
	s.server = exec.Command(program, append(flags, args...)...)
	s.server.Env = s.environment()
	s.server.Dir, s.server.Stdout, s.server.Stderr = s.dir, s.output, s.output
	if err := s.server.Start(); err != nil {
		return err
	}
	return s.ready()
}

func (s *story) ready() error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		resp, err := client().Get(s.url + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("the server was never ready")
}

// end asks the server to end, as a supervisor would, and wants it to end well.
func (s *story) endServer(io.Writer, []string) error {
	if err := s.server.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := s.server.Wait()
	s.server = nil
	return err
}

// crash ends the server without warning.
func (s *story) crash(io.Writer, []string) error {
	err := s.server.Process.Kill()
	_ = s.server.Wait()
	s.server = nil
	return err
}

// output prints what the server has printed so far.
func (s *story) printOutput(out io.Writer, _ []string) error {
	_, err := io.WriteString(out, s.printed())
	return err
}

func (s *story) printed() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "server.out"))
	return string(text)
}

// checkin ID MESSAGETYPE KEY=VALUE… sends a check-in message. ID is a UDID, or UDID/USERID for a user channel.
// KEY:=JSON gives a value that is no string; KEY@=TEXT one that is data. -as OTHER speaks with another device's
// certificate; -by says how it is proved: mtls, signature, sha1, none, a form of certificateHeaders (header if nothing
// is said), or one of badSignatures.
func (s *story) checkin(out io.Writer, args []string) error {
	r, rest, err := s.speaker(args, 2)
	if err != nil {
		return err
	}
	r.path, r.contentType = "/mdm/checkin", "application/x-apple-aspen-mdm-checkin"
	message := named(r.id)
	message["MessageType"] = rest[1]
	return s.say(out, r, message, rest[2:])
}

// connect ID STATUS [UUID|last] KEY=VALUE… speaks on the command channel and prints the answer. The UUID of what
// was delivered is remembered as `last`.
func (s *story) connect(out io.Writer, args []string) error {
	r, rest, err := s.speaker(args, 2)
	if err != nil {
		return err
	}
	r.path, r.contentType = "/mdm/connect", "application/x-apple-aspen-mdm; charset=UTF-8"
	message := named(r.id)
	message["Status"] = rest[1]
	rest = rest[2:]
	if len(rest) > 0 && !strings.Contains(rest[0], "=") {
		message["CommandUUID"] = strings.Replace(rest[0], "last", s.last[r.id], 1)
		rest = rest[1:]
	}
	var answer bytes.Buffer
	err = s.say(io.MultiWriter(out, &answer), r, message, rest)
	if m := regexp.MustCompile(`<key>CommandUUID</key>\s*<string>([^<]*)`).FindSubmatch(answer.Bytes()); m != nil {
		s.last[r.id] = string(m[1])
	}
	return err
}

// send ID PATH FILE sends the bytes of a file as ID's message, whatever they are. -type, -method as said; -chunked
// does not say how many there are.
func (s *story) send(out io.Writer, args []string) error {
	r, rest, err := s.speaker(args, 3)
	if err != nil {
		return err
	}
	r.path = rest[1]
	body, err := os.ReadFile(filepath.Join(s.dir, rest[2]))
	if err != nil {
		return err
	}
	return s.request(out, r, body)
}

// graphql FILE [NAME=VALUE…] asks with an administrator's token, or -token's, and prints the answer with its keys
// in order.
func (s *story) graphql(out io.Writer, args []string) error {
	token, args, err := s.token(args)
	if err != nil {
		return err
	}
	query, err := os.ReadFile(filepath.Join(s.dir, args[0]))
	if err != nil {
		return err
	}
	variables := map[string]any{}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		variables[name] = strings.Replace(value, "last:", "", 1)
		if device, found := strings.CutPrefix(value, "last:"); found {
			variables[name] = s.last[device]
		}
	}
	body, err := json.Marshal(map[string]any{"query": string(query), "variables": variables})
	if err != nil {
		return err
	}
	return s.call(out, http.MethodPost, "/graphql", "Bearer "+token, "application/json", body)
}

// api METHOD PATH [FILE] calls any route with a token as the Basic password, and prints the status and the body.
func (s *story) api(out io.Writer, args []string) error {
	token, args, err := s.token(args)
	if err != nil {
		return err
	}
	var body []byte
	if len(args) > 2 {
		if body, err = os.ReadFile(filepath.Join(s.dir, args[2])); err != nil {
			return err
		}
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("rollcall:"+token))
	return s.call(out, args[0], args[1], basic, "", body)
}

// token returns the token to use: that of the file named after -token, nothing after -token none, else the
// administrator's.
func (s *story) token(args []string) (string, []string, error) {
	file := filepath.Join(s.dir, "data", "admin-token")
	if len(args) > 1 && args[0] == "-token" {
		if args[1] == "none" {
			return "", args[2:], nil
		}
		file, args = filepath.Join(s.dir, args[1]), args[2:]
	}
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), args, err
}

func (s *story) call(out io.Writer, method, path, authorization, contentType string, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Prefer", "wait=5") // what was said before is to be seen
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return s.do(out, client(), req)
}

// client returns one that believes any server, and shows it the certificates.
func client(certificates ...tls.Certificate) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true, ExpectContinueTimeout: patience,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates},
	}}
}

func (s *story) do(out io.Writer, by *http.Client, req *http.Request) error {
	resp, err := by.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if json.Indent(&indented, body, "", "  ") == nil {
		body = indented.Bytes()
	}
	fmt.Fprintf(out, "%d\n", resp.StatusCode)
	if after := resp.Header.Get("Retry-After"); after != "" {
		fmt.Fprintf(out, "Retry-After: %s\n", after)
	}
	fmt.Fprintf(out, "%s\n", body)
	if resp.StatusCode >= 400 {
		return errRefused
	}
	return nil
}

// named returns the keys that say who speaks.
func named(id string) map[string]any {
	udid, user, isUser := strings.Cut(id, "/")
	message := map[string]any{}
	if udid != "-" {
		message["UDID"] = udid
	}
	if isUser {
		message["UserID"], message["UserShortName"] = user, user
	}
	return message
}

// say sends a message with further keys.
func (s *story) say(out io.Writer, r speaker, message map[string]any, pairs []string) error {
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("%q is no KEY=VALUE", pair)
		}
		switch {
		case strings.HasSuffix(key, ":"):
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return err
			}
			message[strings.TrimSuffix(key, ":")] = v
		case strings.HasSuffix(key, "@"):
			message[strings.TrimSuffix(key, "@")] = []byte(value)
		default:
			message[key] = value
		}
	}
	format := plist.XMLFormat
	if r.binary {
		format = plist.BinaryFormat
	}
	body, err := plist.MarshalIndent(message, format, " ")
	if err != nil {
		return err
	}
	return s.request(out, r, body)
}

// freePort returns a port of loopback for a program that is about to start.
func freePort() (string, error) {
	l, err := esdbtest.Listen()
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

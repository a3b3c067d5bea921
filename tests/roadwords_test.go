package tests

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/smallstep/pkcs7"
	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A traveller is a device on its way in, in a story.
type traveller struct {
	s          *story
	out        io.Writer
	device     *mdmtest.Device
	built      mdmtest.Identity // with which it was built
	invitation string
	more       map[string]any // that it tells of itself
}

// roads are the ways in that Apple names, by the word in a story. Each returns the enrolment profile.
var roads = map[string]func(*traveller) ([]byte, error){
	"profile": (*traveller).byOperator, "link": (*traveller).byLink, "ota": (*traveller).overTheAir,
	"ade": (*traveller).automated, "ade-header": (*traveller).inAWebView, "account": (*traveller).byAccount,
}

// enrol NAME ROAD [KEY=VALUE…] has a device with the UDID NAME come in by a road, up to its TokenUpdate, and prints each
// answer of the server that refuses. NAME then speaks with the identity that it got, and NAME.mobileconfig is its profile;
// enrol NAME FILE installs one that is there. -invitation ID comes by another invitation than the default one, -as NAME was
// built with somebody else's certificate. Keys are what it tells of itself (KEY:=JSON).
func (s *story) enrol(out io.Writer, args []string) error {
	w, args, err := s.traveller(out, args)
	if err != nil || len(args) < 1 {
		return errors.Join(err, errors.New("usage: enrol NAME ROAD|FILE [KEY=VALUE…]"))
	}
	var profile []byte
	if road, known := roads[args[0]]; known {
		profile, err = road(w)
	} else {
		profile, err = os.ReadFile(filepath.Join(s.dir, args[0]))
	}
	if err != nil {
		return err
	}
	name := w.device.UDID
	if err := os.WriteFile(filepath.Join(s.dir, name+".mobileconfig"), profile, 0o600); err != nil {
		return err
	}
	if args[0] == "account" {
		w.device.MakeUserEnrolment()
		w.device.EnrollmentID = name
	}
	if err := w.device.EnrolBy(context.Background(), profile); err != nil {
		fmt.Fprintln(out, err)
		return errRefused
	}
	s.gets(out, name, w.device.Identity)
	return nil
}

// deviceKeys are keys of devices that come in. All stories share them, for to make one takes long; within a story none is used twice.
var deviceKeys struct {
	sync.Mutex
	made []*rsa.PrivateKey
}

func (s *story) newKey() (*rsa.PrivateKey, error) {
	deviceKeys.Lock()
	defer deviceKeys.Unlock()
	if s.keys == len(deviceKeys.made) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		deviceKeys.made = append(deviceKeys.made, key)
	}
	s.keys++
	return deviceKeys.made[s.keys-1], nil
}

// gets remembers by which identity a device speaks from now on.
func (s *story) gets(out io.Writer, name string, by mdmtest.Identity) {
	s.people.mu.Lock()
	defer s.people.mu.Unlock()
	s.people.by[name] = &person{by.Certificate, by.Key}
	fmt.Fprintf(out, "%s has the certificate %s of %s\n", name, by.Certificate.SerialNumber.Text(16), by.Certificate.Issuer.CommonName)
}

// scep NAME OTHER has a device renew its certificate by SCEP: the new one is OTHER's.
func (s *story) scep(out io.Writer, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: scep NAME OTHER")
	}
	old, err := s.people.identity(args[0])
	if err != nil {
		return err
	}
	next, err := mdmtest.RenewBySCEP(context.Background(), s.url+"/scep", mdmtest.Identity{Certificate: old.cert, Key: old.key})
	if err != nil {
		fmt.Fprintln(out, err)
		return errRefused
	}
	s.gets(out, args[1], next)
	return nil
}

func (s *story) traveller(out io.Writer, args []string) (*traveller, []string, error) {
	w := &traveller{s: s, out: out, invitation: "default", more: map[string]any{}}
	as := "built"
	for len(args) > 2 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-invitation":
			w.invitation = args[1]
		case "-as":
			as = args[1]
		default:
			return nil, nil, fmt.Errorf("%s is no flag", args[0])
		}
		args = args[2:]
	}
	if len(args) < 2 {
		return nil, nil, errors.New("a device and its road are wanted")
	}
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(args[0])) // never fails
	w.device = mdmtest.New(seed.Sum64(), mdmtest.IOS)
	w.device.NewKey = s.newKey
	w.device.UDID, w.device.SerialNumber, w.device.Proof = args[0], "S-"+args[0], mdmtest.Proof{Way: mdmtest.BySignature}
	for _, pair := range args[2:] {
		key, value, _ := strings.Cut(pair, "=")
		if key, is := strings.CutSuffix(key, ":"); is {
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				return nil, nil, err
			}
			w.more[key] = v
			continue
		}
		w.more[key] = value
	}
	one, err := s.people.identity(as)
	if err == nil {
		w.built = mdmtest.Identity{Certificate: one.cert, Key: one.key}
	}
	return w, args[1:], err
}

// fetch asks the server, and prints what it says if that is a refusal.
func (w *traveller) fetch(method, address string, body []byte, header ...string) ([]byte, http.Header, error) {
	if strings.HasPrefix(address, "/") {
		address = w.s.url + address
	}
	req, err := http.NewRequestWithContext(context.Background(), method, address, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	stays := client()
	stays.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := stays.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 400 {
		fmt.Fprintf(w.out, "%d\n%s\n%s\n", resp.StatusCode, resp.Header.Get("WWW-Authenticate"), text)
		err = errRefused
	}
	return text, resp.Header, err
}

func (w *traveller) byOperator() ([]byte, error) {
	token, _, err := w.s.token(nil)
	if err != nil {
		return nil, err
	}
	identity := ""
	if kind, is := w.more["identity"].(string); is {
		identity = "&identity=" + kind
	}
	text, _, err := w.fetch(http.MethodGet, "/enroll/"+w.invitation+".mobileconfig?signed=false"+identity, nil, "Authorization", "Bearer "+token)
	return text, err
}

// link returns the address of the invitation, as whoever invites is told it.
func (w *traveller) link() (string, error) {
	token, _, err := w.s.token(nil)
	if err != nil {
		return "", err
	}
	body := fmt.Appendf(nil, `{"query":"{enrolmentLink(invitation:%q)}"}`, w.invitation)
	body = bytes.ReplaceAll(body, []byte(`:"`+w.invitation+`"`), []byte(`:\"`+w.invitation+`\"`))
	text, _, err := w.fetch(http.MethodPost, "/graphql", body, "Authorization", "Bearer "+token, "Content-Type", "application/json", "Prefer", "wait=5")
	var told struct {
		Data struct{ EnrolmentLink string }
	}
	if err == nil {
		err = json.Unmarshal(text, &told)
	}
	if err == nil && told.Data.EnrolmentLink == "" {
		return "", fmt.Errorf("there is no link: %s", text)
	}
	return told.Data.EnrolmentLink, err
}

func (w *traveller) byLink() ([]byte, error) {
	link, err := w.link()
	if err != nil {
		return nil, err
	}
	text, _, err := w.fetch(http.MethodGet, link+"/profile.mobileconfig", nil)
	return text, err
}

// told is what the device signs about itself.
func (w *traveller) told(by mdmtest.Identity) ([]byte, error) {
	return w.device.MachineInfo(by, w.more)
}

// overTheAir goes through the three phases: what are you, here is an identity, here is your profile.
func (w *traveller) overTheAir() ([]byte, error) {
	link, err := w.link()
	if err != nil {
		return nil, err
	}
	service, _, err := w.fetch(http.MethodGet, link+"/ota.mobileconfig", nil)
	if err != nil {
		return nil, err
	}
	message, err := pkcs7.Parse(service)
	if err != nil {
		return nil, err
	}
	var asks struct {
		PayloadContent struct{ URL, Challenge string }
	}
	if _, err := plist.Unmarshal(message.Content, &asks); err != nil {
		return nil, err
	}
	if w.more["CHALLENGE"] == nil {
		w.more["CHALLENGE"] = asks.PayloadContent.Challenge
	}
	answer := func(by mdmtest.Identity) ([]byte, error) {
		body, err := w.told(by)
		if err != nil {
			return nil, err
		}
		text, _, err := w.fetch(http.MethodPost, asks.PayloadContent.URL, body)
		return text, err
	}
	brings, err := answer(w.built)
	if err != nil {
		return nil, err
	}
	own, err := mdmtest.IdentityBy(context.Background(), brings)
	if err != nil {
		return nil, err
	}
	w.device.Identity = own // the profile is enciphered for it
	return answer(own)
}

func (w *traveller) automated() ([]byte, error) {
	body, err := w.told(w.built)
	if err != nil {
		return nil, err
	}
	text, _, err := w.fetch(http.MethodPost, "/enroll/ade", body)
	return text, err
}

// inAWebView is Automated Device Enrollment by a page, to which the device tells what it is in a header.
func (w *traveller) inAWebView() ([]byte, error) {
	body, err := w.told(w.built)
	if err != nil {
		return nil, err
	}
	text, _, err := w.fetch(http.MethodGet, "/enroll/ade", nil, "X-Apple-Aspen-Deviceinfo", base64.StdEncoding.EncodeToString(body))
	return text, err
}

// byAccount discovers where the account enrols, signs in there with the code of the invitation, and comes back with a token.
func (w *traveller) byAccount() ([]byte, error) {
	where, _, err := w.fetch(http.MethodGet, "/.well-known/com.apple.remotemanagement?user-identifier=ada@example.com&model-family=iPhone", nil)
	if err != nil {
		return nil, err
	}
	var found struct {
		Servers []struct{ Version, BaseURL string }
	}
	if err := json.Unmarshal(where, &found); err != nil || len(found.Servers) != 1 {
		return nil, errors.Join(err, errors.New("no server is discovered"))
	}
	base := found.Servers[0].BaseURL
	body, err := w.told(w.built)
	if err != nil {
		return nil, err
	}
	if _, header, err := w.fetch(http.MethodPost, base, body); !errors.Is(err, errRefused) || !strings.HasPrefix(header.Get("WWW-Authenticate"), `Bearer method="apple-as-web"`) {
		return nil, errors.Join(err, errors.New("nobody is asked to sign in"))
	}
	code, err := w.link()
	if err != nil {
		return nil, err
	}
	if own, is := w.more["code"].(string); is {
		code = own
	}
	form := url.Values{"account": {"ada@example.com"}, "code": {code}}.Encode()
	_, header, err := w.fetch(http.MethodPost, base+"/sign-in", []byte(form), "Content-Type", "application/x-www-form-urlencoded")
	if err != nil {
		return nil, err
	}
	_, token, _ := strings.Cut(header.Get("Location"), "access-token=")
	text, _, err := w.fetch(http.MethodPost, base, body, "Authorization", "Bearer "+token)
	return text, err
}

package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// settings are what `serve` can be told. A bad one is refused at start with a line that says what to do.
type settings struct {
	Data      string `default:"./data" placeholder:"DIR" help:"Where everything is kept; ${default} if not said. Made at the first start."`
	Listen    string `default:"127.0.0.1:8443" placeholder:"ADDR" help:"Address to listen on; ${default} if not said."`
	URL       string `name:"url" placeholder:"URL" help:"How devices reach this server, e.g. https://mdm.example.com; made from --listen if not said."`
	TLSCert   string `name:"tls-cert" type:"existingfile" placeholder:"FILE" help:"Certificate chain for HTTPS, PEM."`
	TLSKey    string `name:"tls-key" type:"existingfile" placeholder:"FILE" help:"Its key, PEM."`
	DevTLS    bool   `name:"dev-tls" help:"Make a self-signed certificate: for trying out."`
	PlainHTTP bool   `name:"plain-http" help:"No TLS here: a proxy in front of the server ends it."`
	storage
	split
	Views     string        `default:"sqlite" help:"Where views are kept: sqlite."`
	Identity  []string      `default:"mtls,signature" placeholder:"WAY" help:"How devices prove who they are: some of mtls, signature, header:NAME; ${default} if not said."`
	Proxies   []string      `name:"trusted-proxy" placeholder:"CIDR" help:"Proxies whose certificate header and X-Forwarded-For are believed."`
	DeviceCA  []string      `name:"device-ca" type:"existingfile" placeholder:"FILE" help:"Further roots that device certificates may chain to, PEM."`
	APNs      string        `name:"apns" placeholder:"URL" help:"Another push service than Apple's, for trying out."`
	APNsCA    string        `name:"apns-ca" type:"existingfile" placeholder:"FILE" help:"The root that this push service's certificate chains to, PEM."`
	MaxBody   int64         `name:"max-body" default:"8388608" placeholder:"BYTES" help:"The most that a device may send at once; ${default} if not said."`
	Evidence  string        `enum:"signed,all" default:"signed" help:"Of which messages the exact bytes are kept: signed (those with an Mdm-Signature, and of the others what pins an identity or was not understood) or all."`
	Metrics   string        `name:"metrics-listen" placeholder:"ADDR" help:"Serve /metrics and /debug/pprof here, and no longer /metrics on the public address."`
	Silent    time.Duration `name:"silent-after" default:"720h" help:"How long a device may say nothing, though Apple took a push for it, before it is presumed to be managed no longer."`
	Locations time.Duration `name:"keep-locations" default:"72h" help:"How long it can be told where a lost device was, after the end (UTC) of the day on which it said so; then the key is destroyed."`
	Drain     time.Duration `default:"20s" help:"How long requests under way may take when the server is asked to stop."`
	Witness   []string      `placeholder:"WHERE" help:"Who is sent every signed checkpoint of the log: file:/path, https://…, syslog: or syslog://host:514."`
	LogFormat string        `name:"log-format" enum:"text,json" default:"text" help:"text or json."`
	checkIns
	wantedTimes
	signing
	identities
	enrolling
	signingIn
	mailing
	LogLevel string `name:"log-level" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
}

// check refuses settings that cannot work.
func (s *settings) check() error {
	ways := 0
	for _, on := range []bool{s.TLSCert != "", s.DevTLS, s.PlainHTTP} {
		if on {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errors.New("say how HTTPS is served: --tls-cert and --tls-key, --dev-tls to try things out, or --plain-http behind a proxy")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together")
	case s.Views != "sqlite":
		return fmt.Errorf("--views %s is not available: take sqlite", s.Views)
	case s.Silent < time.Hour:
		return errors.New("--silent-after is too short for devices that sleep: take an hour at least, better days")
	case s.Locations < time.Hour || s.Locations > 90*24*time.Hour:
		return errors.New("--keep-locations must be between 1h and 2160h: where a device was is kept for as short as it is needed")
	case s.MaxBody < 64<<10:
		return errors.New("--max-body is too small for Apple's messages: take at least 65536")
	}
	if err := errors.Join(s.checkStore(), s.split.check(s.storage)); err != nil {
		return err
	}
	if s.URL == "" {
		s.URL = s.scheme() + "://" + s.Listen
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
		return fmt.Errorf("--url %q is no address: give one like https://mdm.example.com", s.URL)
	}
	if _, err = s.witnesses(); err != nil {
		return err
	}
	if err := s.signing.check(); err != nil {
		return err
	}
	return errors.Join(s.identities.check(), s.enrolling.check(), s.signingIn.check(), s.mailing.check(), s.wantedTimes.check(), s.checkIns.check())
}

// witnesses are who is sent checkpoints.
func (s *settings) witnesses() (list []ledger.Witness, err error) {
	for _, text := range s.Witness {
		w, err := ledger.ParseWitness(text)
		if err != nil {
			return nil, fmt.Errorf("--witness: %w", err)
		}
		list = append(list, w)
	}
	return list, nil
}

// origin is the ledger's name: the address of its checkpoints without the scheme.
func (s *settings) origin() string {
	_, rest, _ := strings.Cut(strings.TrimRight(s.URL, "/"), "://")
	return rest + "/log"
}

func (s *settings) scheme() string {
	if s.PlainHTTP {
		return "http"
	}
	return "https"
}

func (s *settings) proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range s.Proxies {
		if !strings.Contains(text, "/") {
			if a, err := netip.ParseAddr(text); err == nil {
				list = append(list, netip.PrefixFrom(a, a.BitLen()))
				continue
			}
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxy %q is no network: give one like 10.0.0.0/8", text)
		}
		list = append(list, p)
	}
	return list, nil
}

// pool reads PEM files into a pool of roots.
func pool(flag string, files ...string) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", flag, err)
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s %s holds no certificate in PEM form", flag, file)
		}
	}
	return roots, nil
}

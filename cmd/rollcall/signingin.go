package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers/enroll"
)

// signingIn are the settings of the organisation's own sign-in, by which people bring devices in.
type signingIn struct {
	Issuer     string            `name:"oidc-issuer" placeholder:"URL" help:"The organisation's sign-in, an OpenID Connect issuer such as https://login.example.com: whoever signs in there may bring a device in. Register URL/enroll/callback there as the redirect address."`
	ClientID   string            `name:"oidc-client-id" placeholder:"ID" help:"What it calls this server."`
	SecretFile string            `name:"oidc-client-secret-file" type:"existingfile" placeholder:"FILE" help:"A file with this server's secret there; ROLLCALL_OIDC_CLIENT_SECRET in the environment if not set, none if that is not set either."`
	Scopes     []string          `name:"oidc-scopes" placeholder:"SCOPE" help:"What is asked for beside openid; email and profile if not said."`
	Claim      string            `name:"oidc-account-claim" default:"email" placeholder:"CLAIM" help:"The claim that names the account, which must be the Managed Apple Account where those enrol devices; ${default} if not said."`
	Domains    []string          `name:"oidc-domain" placeholder:"DOMAIN" help:"Only accounts of these domains, whose addresses the issuer says are verified."`
	Require    map[string]string `name:"oidc-require" mapsep:"," placeholder:"CLAIM=VALUE" help:"Only accounts with these claims, each equal to the value or a list that holds it, such as groups=staff."`
	Invitation string            `name:"oidc-invitation" default:"default" placeholder:"ID" help:"The invitation by which those come who sign in: its limits, roads and group count; ${default} if not said."`
	Only       []string          `name:"oidc-only" placeholder:"ROAD" help:"Roads on which nothing but signing in will do: ade, account."`
}

// check refuses settings that cannot work.
func (s *signingIn) check() error {
	if s.Issuer == "" {
		if s.ClientID != "" || s.SecretFile != "" || len(s.Only) > 0 || len(s.Domains) > 0 || len(s.Require) > 0 {
			return errors.New("the settings --oidc-… say nothing without --oidc-issuer: give the address of the organisation's sign-in")
		}
		return nil
	}
	u, err := url.Parse(s.Issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("--oidc-issuer %q is no address: give one like https://login.example.com, as the issuer itself spells it", s.Issuer)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return errors.New("--oidc-issuer must begin with https: who signs in is believed on its word")
	case s.ClientID == "":
		return errors.New("--oidc-issuer wants --oidc-client-id: what the issuer calls this server")
	}
	if err := enrollment.CheckID(s.Invitation); err != nil {
		return fmt.Errorf("--oidc-invitation: %w", err)
	}
	for _, road := range s.Only {
		if !slices.Contains([]string{enrollment.ADE, enrollment.Account}, road) {
			return fmt.Errorf("--oidc-only %q is no road on which signing in can be demanded: take ade, account or both", road)
		}
	}
	_, err = s.secret()
	return err
}

// secret is this server's at the issuer; empty if it has none.
func (s *signingIn) secret() (string, error) {
	if s.SecretFile == "" {
		return os.Getenv("ROLLCALL_OIDC_CLIENT_SECRET"), nil
	}
	text, err := os.ReadFile(s.SecretFile)
	if err != nil {
		return "", fmt.Errorf("--oidc-client-secret-file: %w", err)
	}
	if secret := strings.TrimSpace(string(text)); secret != "" {
		return secret, nil
	}
	return "", errors.New("--oidc-client-secret-file: the file is empty")
}

// organisation is the sign-in as the settings have it; nil if there is none.
func (s *server) organisation() (*enroll.OIDC, error) {
	set := s.signingIn
	if set.Issuer == "" {
		return nil, nil
	}
	secret, err := set.secret()
	if err != nil {
		return nil, err
	}
	return &enroll.OIDC{
		Issuer: set.Issuer, ClientID: set.ClientID, Secret: secret, Scopes: set.Scopes, Claim: set.Claim, Domains: set.Domains, Require: set.Require,
		Invitation: set.Invitation, Only: set.Only, Redirect: strings.TrimRight(s.URL, "/") + "/enroll/callback", Now: s.now, Log: s.logger,
	}, nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

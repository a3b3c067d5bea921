package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// parsed returns the settings of a command line, with a JSON file of settings if there is one.
func parsed(t *testing.T, config string, args ...string) (settings, error) {
	t.Helper()
	var c cli
	options := []kong.Option{kong.DefaultEnvars("ROLLCALL"), kong.Vars{"version": "test"}, kong.Exit(func(int) { t.Error("it would have ended") })}
	if config != "" {
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		options = append(options, kong.Configuration(readConfig, file))
	}
	parser, err := kong.New(&c, options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve", "--plain-http"}, args...)); err != nil {
		return settings{}, err
	}
	return c.Serve.settings, c.Serve.check()
}

func TestSettingsOfSigningInAndOfMail(t *testing.T) {
	dir := t.TempDir()
	secret, empty := filepath.Join(dir, "secret"), filepath.Join(dir, "empty")
	for file, text := range map[string]string{secret: "s3cret\n", empty: "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const issuer = "--oidc-issuer=https://login.example.com"
	for name, c := range map[string]struct {
		args []string
		told string // what is wrong; nothing if empty
	}{
		"nothing":                  {nil, ""},
		"an issuer":                {[]string{issuer, "--oidc-client-id=x"}, ""},
		"all":                      {[]string{issuer, "--oidc-client-id=x", "--oidc-client-secret-file=" + secret, "--oidc-only=ade,account", "--oidc-require=groups=staff", "--oidc-domain=example.com"}, ""},
		"on this machine":          {[]string{"--oidc-issuer=http://127.0.0.1:99", "--oidc-client-id=x"}, ""},
		"in the clear":             {[]string{"--oidc-issuer=http://login.example.com", "--oidc-client-id=x"}, "https"},
		"no address":               {[]string{"--oidc-issuer=login.example.com", "--oidc-client-id=x"}, "no address"},
		"a client without a name":  {[]string{issuer}, "--oidc-client-id"},
		"no issuer":                {[]string{"--oidc-client-id=x"}, "--oidc-issuer"},
		"an empty secret":          {[]string{issuer, "--oidc-client-id=x", "--oidc-client-secret-file=" + empty}, "empty"},
		"another road":             {[]string{issuer, "--oidc-client-id=x", "--oidc-only=profile"}, "no road"},
		"no invitation":            {[]string{issuer, "--oidc-client-id=x", "--oidc-invitation=a b"}, "--oidc-invitation"},
		"a mail server":            {[]string{"--smtp=smtp://u@mail.example.com", "--smtp-password-file=" + secret, "--mail-from=mdm@example.com"}, ""},
		"one without a user":       {[]string{"--smtp=smtps://mail.example.com"}, ""},
		"a user without password":  {[]string{"--smtp=smtp://u@mail.example.com"}, "--smtp-password-file"},
		"a password in the open":   {[]string{"--smtp=smtp://u:hush@mail.example.com"}, "does not belong"},
		"a password for nobody":    {[]string{"--smtp-password-file=" + secret}, "--smtp"},
		"no mail server's address": {[]string{"--smtp=mail.example.com"}, "--smtp"},
		"no sender's":              {[]string{"--mail-from=MDM <mdm@example.com>"}, "--mail-from"},
	} {
		_, err := parsed(t, "", c.args...)
		switch {
		case c.told == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.told != "" && (err == nil || !strings.Contains(err.Error(), c.told) || strings.Contains(err.Error(), "hush")):
			t.Errorf("%s: %v, want %q", name, err, c.told)
		}
	}
}

// The same settings may stand in a file, and the secrets in the environment.
func TestSettingsOfSigningInInAFile(t *testing.T) {
	t.Setenv("ROLLCALL_OIDC_CLIENT_SECRET", "from the environment")
	t.Setenv("ROLLCALL_SMTP_PASSWORD", "from there too")
	s, err := parsed(t, `{"oidc-issuer": "https://login.example.com", "oidc_client_id": "x", "oidc-only": ["ade"], "oidc-domain": ["example.com", "example.org"],
		"oidc-require": {"groups": "staff"}, "smtp": "smtp://u@mail.example.com"}`)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.Only, []string{"ade"}) || !reflect.DeepEqual(s.Domains, []string{"example.com", "example.org"}) || s.Require["groups"] != "staff" || s.ClientID != "x" {
		t.Errorf("read %+v", s.signingIn)
	}
	if secret, err := s.secret(); err != nil || secret != "from the environment" {
		t.Errorf("the secret is %q, %v", secret, err)
	}
	if server, err := s.mailing.server(); err != nil || server.Password != "from there too" {
		t.Errorf("the mail server is %+v, %v", server, err)
	}
}

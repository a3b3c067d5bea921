package esdb_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// certified returns a certificate for this host, and the path of its authority.
func certified(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, path
}

func TestUsersOverTLS(t *testing.T) {
	config, authority := certified(t)
	server := serve(t, esdbtest.Options{TLS: config, User: "ada", Password: "open-sesame"})
	trusted := server.URL() + "&tlsCaFile=" + url.QueryEscape(authority)
	l := open(t, trusted, esdb.Options{})
	want := appendTo(t, l, -1, 2)
	same(t, "the log", readAll(t, l), want)

	for name, bad := range map[string]string{
		"the wrong password":      strings.Replace(trusted, "open-sesame", "open-barley", 1),
		"nobody":                  strings.Replace(trusted, "ada:open-sesame@", "", 1),
		"an untrusted authority":  server.URL(),
		"without TLS":             strings.Replace(server.URL(), "tls=true", "tls=false", 1),
		"a server that is absent": "esdb://ada:open-sesame@127.0.0.1:1?tls=false",
	} {
		l, err := esdb.Open(t.Context(), bad, esdb.Options{Patience: time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		if err == nil {
			t.Errorf("%s was let in", name)
			_ = l.Close()
			continue
		}
		if strings.Contains(err.Error(), "open-") {
			t.Errorf("%s: the password is in the error: %v", name, err)
		}
	}
}

func TestBadConnectionStrings(t *testing.T) {
	for _, bad := range []string{
		"", "http://localhost", "esdb://", "esdb://:secret@host", "esdb://ada:secret@host:x:y?tls=false", "esdb://ada:secret@ho st:2113",
		"esdb://ada:secret@host:2113?tls=secret", "esdb://ada:secret%zz@host:2113", "esdb://ada:secret@host:2113/path/secret",
		"esdb://ada:secret@host:port,b:2113",
	} {
		l, err := esdb.Open(t.Context(), bad, esdb.Options{Patience: time.Millisecond})
		if err == nil {
			t.Errorf("%q was taken", bad)
			_ = l.Close()
		} else if strings.Contains(err.Error(), "ada:secret") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}

// An outage is logged once when it begins and once when it ends, without a password.
func TestOutageIsLogged(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	var text bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&text, nil))
	l := open(t, strings.Replace(server.URL(), "esdb://", "esdb://ada:secret@", 1), esdb.Options{Logger: logger})
	server.Inject(esdbtest.Fault{Kind: esdbtest.Refuse, Method: "Append", Times: 4})
	appendTo(t, l, -1, 1)
	for what, want := range map[string]int{"does not serve us": 1, "serves us again": 1, "without TLS": 1, "secret": 0} {
		if n := strings.Count(text.String(), what); n != want {
			t.Errorf("the log says %q %d times, want %d:\n%s", what, n, want, text.String())
		}
	}
}

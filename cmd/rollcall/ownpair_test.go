package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A heard is what was logged by others meanwhile.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// A pairFiles are files with a certificate and its key, as some tool renews them.
type pairFiles struct {
	t         *testing.T
	cert, key string
}

func (f *pairFiles) put(file string, text []byte) {
	f.t.Helper()
	next := file + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		f.t.Fatal(err)
	}
}

// pair makes a certificate for a host, with its key.
func (f *pairFiles) pair(host string) (cert, key []byte) {
	f.t.Helper()
	made, err := devCertificate("https://" + host)
	if err != nil {
		f.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(made.PrivateKey)
	if err != nil {
		f.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestARenewedCertificateIsUsedWithoutARestart(t *testing.T) {
	dir := t.TempDir()
	f := &pairFiles{t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	cert, key := f.pair("first.example.com")
	f.put(f.cert, cert)
	f.put(f.key, key)
	var said heard
	own, err := openPair(f.cert, f.key, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: own.certificate, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{ReadHeaderTimeout: time.Minute}
	var served sync.WaitGroup
	served.Go(func() { _ = web.Serve(listener) })
	t.Cleanup(func() { _ = web.Close(); served.Wait() })
	met := func() string {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // #nosec G402 -- it is looked at, not trusted
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	want := func(name string) {
		t.Helper()
		if got := met(); got != name {
			t.Errorf("met %s, not %s", got, name)
		}
	}
	want("first.example.com")
	cert, key = f.pair("second.example.com")
	f.put(f.cert, cert)
	want("first.example.com") // its key is not there yet
	want("first.example.com")
	if n := strings.Count(said.String(), "the one before is kept"); n != 1 {
		t.Errorf("it was said %d times that the files do not fit:\n%s", n, said.String())
	}
	f.put(f.key, key)
	want("second.example.com")
	f.put(f.cert, []byte("no certificate"))
	want("second.example.com")
	if err := os.Remove(f.key); err != nil {
		t.Fatal(err)
	}
	want("second.example.com")
	before := said.String()
	want("second.example.com")
	if said.String() != before {
		t.Errorf("it is said again at each connection:\n%s", said.String())
	}
	if leaf, err := own.leaf(); err != nil || !time.Now().Before(leaf.NotAfter) || leaf.Subject.CommonName != "second.example.com" {
		t.Errorf("it is told of as %v (%v)", leaf, err)
	}
}

package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
)

// An ownPair is the certificate by which the server is known, with its key. Where it comes from files, a renewed one is
// taken with the next connection after it was put there; while only one of the two files is new, the old pair is kept.
type ownPair struct {
	cert, key string // files; none if the pair was made here
	logger    *slog.Logger

	mu    sync.Mutex
	files [2]fs.FileInfo // as they were when they were last read
	wrong string         // what was last said about them
	pair  tls.Certificate
}

// openPair reads the files.
func openPair(cert, key string, logger *slog.Logger) (*ownPair, error) {
	p := &ownPair{cert: cert, key: key, logger: logger}
	_, err := p.read()
	return p, err
}

// read reads the files if they are others than before, and reports whether a pair came of it.
func (p *ownPair) read() (fresh bool, err error) {
	var now [2]fs.FileInfo
	for i, file := range []string{p.cert, p.key} {
		if now[i], err = os.Stat(file); err != nil {
			return false, fmt.Errorf("read --tls-cert and --tls-key: %w", err)
		}
	}
	if sameFile(now[0], p.files[0]) && sameFile(now[1], p.files[1]) {
		return false, nil
	}
	p.files = now // what cannot be read is not read again until it changes
	pair, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return false, fmt.Errorf("read --tls-cert and --tls-key: %w", err)
	}
	p.pair = pair
	return true, nil
}

func sameFile(a, b fs.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// current returns the pair.
func (p *ownPair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cert != "" {
		switch fresh, err := p.read(); {
		case err != nil && err.Error() != p.wrong:
			p.wrong = err.Error()
			p.logger.Warn("the server's own certificate was changed and cannot be used: the one before is kept", "error", err)
		case fresh:
			p.wrong = ""
			p.logger.Info("the server's own certificate was renewed", "until", p.pair.Leaf.NotAfter)
		}
	}
	pair := p.pair
	return &pair
}

// certificate fulfils tls.Config's GetCertificate.
func (p *ownPair) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.current(), nil
}

// leaf returns the certificate.
func (p *ownPair) leaf() (*x509.Certificate, error) {
	pair := p.current()
	if pair.Leaf != nil {
		return pair.Leaf, nil
	}
	return x509.ParseCertificate(pair.Certificate[0])
}

package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/trust"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// firstRoot is the root of a new data directory; a later one has its fingerprint in the name too. Beside each stands its
// key.
const firstRoot = "device-ca.pem"

// newRootKey makes the key of a root: SCEP wants RSA. The first start waits for it, which with 3072 bits may take longer than
// all else together; whoever wants those imports a root of their own.
var newRootKey = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }

// itself is the server, where it does what only an administrator may.
var itself = handlers.Caller{Kind: "worker", ID: "server", Name: "server", Role: operator.Administrator}

// openAuthority opens the authority of the data directory, and makes a root if there is none that can serve SCEP.
func (s *server) openAuthority(ctx context.Context) error {
	s.authority = &handlers.Authority{
		Log: s.house.log, Streams: s.authorities, Issuances: s.issuances, Certificates: s.certificates, Challenges: s.challenges,
		Invitations: s.invitations, Days: s.CertificateDays, Attest: s.ACMERequire, CRL: strings.TrimRight(s.URL, "/") + "/crl", Now: s.now, Changed: s.believe, Logger: s.logger,
	}
	if err := s.authority.Open(ctx); err != nil {
		return err
	}
	if err := s.installRoots(ctx); err != nil {
		return err
	}
	if err := s.believe(ctx, s.authority.Standing()); err != nil {
		return err
	}
	return (&handlers.Invitations{Invitations: s.invitations}).OpenDefault(ctx)
}

// installRoots tells the log of roots in the directory that it does not know, and makes one if none is there that can
// open what devices send.
func (s *server) installRoots(ctx context.Context) error {
	here := map[string]bool{} // whether it can serve SCEP
	for _, name := range rootFiles(s.dir) {
		if !strings.HasSuffix(name, ".pem") {
			continue
		}
		root, err := readRoot(s.path(name))
		if err != nil {
			return err
		}
		fingerprint := handlers.Fingerprint(root.Certificate)
		_, opens := root.Key.(crypto.Decrypter)
		here[fingerprint] = opens
		source := authority.Imported
		if name == firstRoot {
			source = authority.Found
		}
		if !s.authority.Standing().Knows(fingerprint) {
			if _, err := s.authority.Install(ctx, itself, root, source); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		} else if root.Key != nil {
			s.authority.Keep(root)
		}
	}
	now, found := s.authority.Standing().Issuing()
	if opens, own := here[now.Fingerprint]; found && !own {
		s.logger.Warn("the key of the root that issues is not here: this server gives no device a certificate", "root", now.Fingerprint,
			"hint", "copy device-ca* from the data directory of the server that made it")
		return nil
	} else if found && opens {
		return nil
	}
	_, err := roller{s.authority, s}.RollOver(ctx, itself)
	return err
}

// A roller is an authority that can also make roots.
type roller struct {
	*handlers.Authority
	s *server
}

// RollOver makes a root, keeps it in the directory, and has it issue from now on.
func (r roller) RollOver(ctx context.Context, who handlers.Caller) (eventstore.Position, error) {
	if err := who.Administer(); err != nil {
		return 0, err
	}
	s := r.s
	root, err := newRoot(s.now())
	if err != nil {
		return 0, err
	}
	name := firstRoot
	if _, err := os.Stat(s.path(name)); err == nil {
		name = rootName(root.Certificate)
	}
	if err := s.alone(ctx, func() error { return keepRoot(s.path(name), root) }); err != nil {
		return 0, err
	}
	return s.authority.Install(ctx, who, root, authority.Made)
}

// believe has devices' certificates chain to the roots in force and to those of --device-ca, and tells the log so.
func (s *server) believe(ctx context.Context, now authority.Authority) error {
	roots, err := pool("--device-ca", s.DeviceCA...)
	if err != nil {
		return err
	}
	var all []trust.Authority
	var own []*x509.Certificate
	for _, r := range now.Roots {
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return fmt.Errorf("read the root %s: %w", r.Fingerprint, err)
		}
		roots.AddCert(c)
		own = append(own, c)
		all = append(all, believed(c))
	}
	for _, file := range s.DeviceCA {
		some, err := authorities(file)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	s.identity.Believe(roots, own...)
	if s.shares != nil {
		s.shares.rootsMoved()
	}
	return s.recordTrust(ctx, all)
}

// newRoot makes a root that is good for ten years.
func newRoot(now time.Time) (handlers.Root, error) {
	key, err := newRootKey()
	if err != nil {
		return handlers.Root{}, fmt.Errorf("make the device CA's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Rollcall Device CA"},
		NotBefore: now.Add(-10 * time.Minute), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return handlers.Root{}, fmt.Errorf("make the device CA: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	return handlers.Root{Certificate: c, Key: key}, err
}

// ensureRoot makes the first root of a directory that has none.
func ensureRoot(dir string) error {
	file := filepath.Join(dir, firstRoot)
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	root, err := newRoot(time.Now())
	if err != nil {
		return err
	}
	return keepRoot(file, root)
}

// rootName is the file of a root that is not the first.
func rootName(c *x509.Certificate) string {
	return "device-ca-" + handlers.Fingerprint(c)[:16] + ".pem"
}

// keepRoot writes a root, its key first: a certificate without its key is of no use.
func keepRoot(file string, r handlers.Root) error {
	if err := writeKey(strings.TrimSuffix(file, ".pem")+".key", r.Key); err != nil {
		return err
	}
	return writePEM(file, "CERTIFICATE", r.Certificate.Raw)
}

// rootFiles lists the certificates and keys of roots in a directory, the first root's before the others.
func rootFiles(dir string) (names []string) {
	for _, pattern := range []string{"device-ca.pem", "device-ca.key", "device-ca-*.pem", "device-ca-*.key"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern)) // fails only on a malformed pattern
		for _, file := range found {
			names = append(names, filepath.Base(file))
		}
	}
	return slices.Compact(names)
}

// readRoot reads a root and its key. A root without one is believed, and issues nothing.
func readRoot(file string) (r handlers.Root, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return r, fmt.Errorf("read a device CA: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return r, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	if r.Certificate, err = x509.ParseCertificate(block.Bytes); err != nil {
		return r, fmt.Errorf("read the device CA in %s: %w", file, err)
	}
	r.Key, err = signingKey(strings.TrimSuffix(file, ".pem")+".key", r.Certificate)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return r, err
}

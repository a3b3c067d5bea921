package main

import (
	"crypto/x509"
	"os"

	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/ends"
)

// watch is who tells in time of certificates that end.
func (s *server) watch() *ends.Watch {
	return &ends.Watch{Views: s.views, Authority: s.authority, Certificates: s.certificates, Files: s.ends, Now: s.now, Logger: s.logger}
}

// ends lists the certificates of files that the server depends on. What cannot be read now is left out: its user says so.
func (s *server) ends() (list []handlers.End) {
	add := func(kind string, c *x509.Certificate) {
		list = append(list, handlers.End{Kind: kind, Name: c.Subject.String(), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC()})
	}
	if s.pair != nil {
		if own, err := s.pair.leaf(); err == nil {
			add(handlers.EndsServer, own)
		}
	}
	for _, file := range s.DeviceCA {
		some, _ := authorities(file)
		for _, a := range some {
			if c, err := x509.ParseCertificate(a.Certificate); err == nil {
				add(handlers.EndsOther, c)
			}
		}
	}
	if _, err := os.Stat(s.path(signerCert)); err == nil || s.ProfileCert != "" { // none is made for this
		if signer, err := s.profileSigner(); err == nil {
			add(handlers.EndsSigner, signer.Chain[0])
		}
	}
	return list
}

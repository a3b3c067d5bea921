package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/trust"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// recordTrust tells the log whom the server believes about devices from now on, if that is news: whoever checks a
// device's signature later finds the authority of that day.
func (s *server) recordTrust(ctx context.Context, all []trust.Authority) error {
	meta := eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByWorker, ID: "server", Name: "server"}}
	_, err := repository(s.house, trust.Kind, trust.Trust.Evolve).Update(ctx, trust.Devices, meta,
		func(t trust.Trust, _ time.Time) ([]domain.Event, error) { return t.Configure(all), nil })
	if err != nil {
		return fmt.Errorf("record whose certificates are believed: %w", err)
	}
	return nil
}

// authorities reads the certificates in a PEM file, as x509.CertPool does: what is no certificate is passed over.
func authorities(file string) (all []trust.Authority, err error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of devices: %w", err)
	}
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			all = append(all, believed(c))
		}
	}
	return all, nil
}

func believed(c *x509.Certificate) trust.Authority {
	return trust.Authority{Subject: c.Subject.String(), NotAfter: c.NotAfter.UTC(), Certificate: c.Raw}
}

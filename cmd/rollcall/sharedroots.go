package main

import (
	"context"
	"strings"
	"time"
)

// rootsMoved has somebody look whether another server has made the root that issues now.
func (s *sharing) rootsMoved() {
	select {
	case s.roots <- struct{}{}:
	default: // somebody will anyhow
	}
}

// fetchRoots gets the keys of roots that other servers make, until ctx ends.
func (s *server) fetchRoots(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.shares.roots:
		}
		err := s.fetchRoot(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		s.logger.Error("the key of a root that another server has made is not here yet: this server gives no device a certificate", "error", err, "again", aWhile)
		s.shares.rootsMoved()
		select {
		case <-ctx.Done():
		case <-time.After(aWhile):
		}
	}
}

// fetchRoot gets the key of the root that issues, if it is not here.
func (s *server) fetchRoot(ctx context.Context) error {
	issuing, found := s.authority.Standing().Issuing()
	if !found || s.authority.Has(issuing.Fingerprint) {
		return nil
	}
	if err := s.shares.pull(ctx); err != nil {
		return err
	}
	for _, name := range rootFiles(s.dir) {
		if !strings.HasSuffix(name, ".pem") {
			continue
		}
		root, err := readRoot(s.path(name))
		if err != nil {
			return err
		}
		if root.Key != nil {
			s.authority.Keep(root)
		}
	}
	return nil
}

package main

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"sync"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore/seal/pgtest"
)

// TestMain lets all servers of these tests have the same root's key: to make one takes a second.
func TestMain(m *testing.M) {
	newRootKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	code := m.Run()
	pgtest.End()
	os.Exit(code)
}

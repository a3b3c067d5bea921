package main

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"sync"
	"testing"
)

// TestMain lets all servers of these tests have the same root's key: to make one takes a second.
func TestMain(m *testing.M) {
	newRootKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })
	os.Exit(m.Run())
}

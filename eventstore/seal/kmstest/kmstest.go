// Package kmstest plays a key management service: strict where a real one is, and away on demand.
package kmstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// A Fault is how a service fails.
type Fault int32

// The faults.
const (
	None    Fault = iota
	Away          // 503
	Garbage       // 200, and no JSON
	Hangs         // no answer until the caller gives up
	Other         // the answer is another key's
)

// A KMS keeps one key, which never leaves it. It is an http.Handler; Answer is the same without HTTP.
type KMS struct {
	Key   string // its name
	Token string // that callers must show; none if empty

	aead  cipher.AEAD
	fault atomic.Int32

	mu    sync.Mutex
	calls map[string]int
}

// New returns a service with a key of its own, made of the seed.
func New(name string, seed byte) *KMS {
	block, err := aes.NewCipher(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &KMS{Key: name, aead: aead, calls: map[string]int{}}
}

// Fail makes all following calls fail in this way, until Fail(None).
func (k *KMS) Fail(f Fault) { k.fault.Store(int32(f)) }

// Calls returns how often an operation was asked for and granted.
func (k *KMS) Calls(op string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.calls[op]
}

// ServeHTTP answers one question.
func (k *KMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	question, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10)) // read whole: otherwise nobody notices that the caller has left
	switch fault := Fault(k.fault.Load()); {
	case err != nil:
		http.Error(w, "too much", http.StatusRequestEntityTooLarge)
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json":
		http.Error(w, "ask in JSON, by POST", http.StatusMethodNotAllowed)
	case k.Token != "" && r.Header.Get("Authorization") != "Bearer "+k.Token:
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case fault == Away:
		http.Error(w, "gone fishing", http.StatusServiceUnavailable)
	case fault == Garbage:
		_, _ = io.WriteString(w, "<html>")
	case fault == Hangs:
		<-r.Context().Done()
	default:
		_, _ = w.Write(k.Answer(question))
	}
}

type question struct {
	Op      string `json:"op"`
	Subject string `json:"subject"`
	Bytes   []byte `json:"bytes"`
}

// Answer answers one question. It refuses what it does not know, and what was wrapped for another subject.
func (k *KMS) Answer(text []byte) []byte {
	var q question
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&q); err != nil {
		return refuse("that is no question")
	}
	out, why := k.do(q)
	if why != "" {
		return refuse(why)
	}
	k.mu.Lock()
	k.calls[q.Op]++
	k.mu.Unlock()
	name := k.Key
	if Fault(k.fault.Load()) == Other {
		name = "another"
	}
	answer, _ := json.Marshal(map[string]any{"key": name, "bytes": out}) // it always marshals
	return answer
}

func (k *KMS) do(q question) (out []byte, why string) {
	switch {
	case q.Op == "describe" && q.Subject == "" && q.Bytes == nil:
		return nil, ""
	case q.Op == "wrap" && len(q.Bytes) > 0:
		nonce := make([]byte, k.aead.NonceSize())
		_, _ = rand.Read(nonce)
		return k.aead.Seal(nonce, nonce, q.Bytes, []byte(q.Subject)), ""
	case q.Op == "unwrap" && len(q.Bytes) > k.aead.NonceSize():
		n := k.aead.NonceSize()
		plain, err := k.aead.Open(nil, q.Bytes[:n], q.Bytes[n:], []byte(q.Subject))
		if err != nil {
			return nil, "it was not wrapped here for this subject"
		}
		return plain, ""
	}
	return nil, fmt.Sprintf("nobody asks %.20q like that", q.Op)
}

func refuse(why string) []byte {
	text, _ := json.Marshal(map[string]string{"error": why}) // it always marshals
	return text
}

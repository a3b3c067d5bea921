package tests

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/issuance"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// certificateKills is how often the server is killed while it issues, unless the environment asks for more (`make soak`), and
// applicants how many devices ask for a certificate each time.
const (
	certificateKills = 4
	applicants       = 4
)

// An applicant is a device that has a profile, and asks for its certificate until it has one.
type applicant struct {
	profile []byte
	key     *rsa.PrivateKey
	first   mdmtest.Identity // what it was given before the server died; empty if nothing
}

// TestSIGKILLWhileCertificatesAreIssued (T35) kills the server between the issuing of certificates and the answers: nobody holds a
// certificate that the log does not tell of, and who asks again with the same key gets the same one.
func TestSIGKILLWhileCertificatesAreIssued(t *testing.T) {
	t.Parallel()
	rounds := certificateKills
	if text := os.Getenv("ROLLCALL_KILLS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("ROLLCALL_KILLS: %v", err)
		}
	}
	h := newHost(t)
	h.start()
	h.pushable()
	link, keys := h.link(), &story{}
	held := map[string]bool{} // fingerprints that devices hold
	broken := 0
	for round := range rounds {
		all := make([]*applicant, applicants)
		for i := range all {
			status, profile := h.fetch(http.MethodGet, link+"/profile.mobileconfig", nil)
			key, err := keys.newKey()
			if status != http.StatusOK || err != nil {
				t.Fatalf("a profile is answered with %d %s, %v", status, profile, err)
			}
			all[i] = &applicant{profile: profile, key: key}
		}
		h.killAfter(all, 1+round%(applicants-1))
		h.start()
		for _, a := range all {
			got, err := mdmtest.IdentityFor(bounded(t), a.profile, a.key)
			if err != nil {
				t.Fatalf("round %d: who asks again is told %v", round, err)
			}
			if a.first.Certificate == nil {
				broken++
			} else if !a.first.Certificate.Equal(got.Certificate) {
				t.Errorf("round %d: who asks again gets another certificate", round)
			}
			sum := sha256.Sum256(got.Certificate.Raw)
			held[hex.EncodeToString(sum[:])] = true
		}
	}
	h.stop()
	h.wantIssued(held, rounds*applicants)
	t.Logf("%d of %d devices got no answer at first", broken, rounds*applicants)
}

// killAfter has all ask at once, and kills the server when so many were answered.
func (h *host) killAfter(all []*applicant, answers int) {
	h.t.Helper()
	ctx := bounded(h.t)
	answered := make(chan struct{}, len(all))
	var asking sync.WaitGroup
	for _, a := range all {
		asking.Go(func() {
			if got, err := mdmtest.IdentityFor(ctx, a.profile, a.key); err == nil { // otherwise the server is dead
				a.first = got
			}
			answered <- struct{}{}
		})
	}
	for range answers {
		<-answered
	}
	h.kill()
	asking.Wait()
}

// wantIssued wants the log to tell of each certificate that devices hold, once, and of no other.
func (h *host) wantIssued(held map[string]bool, keys int) {
	h.t.Helper()
	issued, signed := map[string]int{}, map[string]int{}
	for _, r := range h.open().history() {
		switch e := r.event.(type) {
		case certificate.Issued:
			issued[r.Stream.ID]++
		case issuance.Signed:
			signed[e.Fingerprint]++
		}
	}
	if len(held) != keys || len(issued) != keys || len(signed) != keys {
		h.t.Errorf("%d keys: devices hold %d certificates, the log tells that %d were issued and %d signed", keys, len(held), len(issued), len(signed))
	}
	for fingerprint := range held {
		if issued[fingerprint] != 1 || signed[fingerprint] != 1 {
			h.t.Errorf("%s: issued %d times, signed %d times", fingerprint, issued[fingerprint], signed[fingerprint])
		}
	}
}

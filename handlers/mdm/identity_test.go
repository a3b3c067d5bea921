package mdm

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

var localhost = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func byTLSWith(certs ...*x509.Certificate) sending {
	return func(r *http.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: certs} }
}

func header(name, value string) sending {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func from(remote string) sending { return func(r *http.Request) { r.RemoteAddr = remote } }

func idle(t testing.TB, udid string) []byte {
	return xml(t, map[string]any{"UDID": udid, "Status": "Idle"})
}

func TestWhoIsBelieved(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	body := idle(t, "U1")
	other := h.ca.issue(t, "other")
	between := h.ca.issueAuthority(t, "Between")
	stranger := newAuthority(t, "Another CA").issue(t, "U1")
	sig := signCMS(t, g.id, body, signing{})
	wrap := func(r *http.Request) { r.Header.Set(certHeader, wrapped(g.id)) }
	for _, test := range []struct {
		name   string
		how    []sending
		status int
		class  string
	}{
		{"a certificate at our own TLS", []sending{byTLSWith(g.id.cert)}, 200, ""},
		{"a header of RFC 9440", []sending{header(certHeader, g.id.rfc9440())}, 200, ""},
		{"a header of escaped PEM", []sending{header(certHeader, g.id.escaped())}, 200, ""},
		{"a header with spaces as %20", []sending{header(certHeader, strings.ReplaceAll(g.id.escaped(), "+", "%20"))}, 200, ""},
		{"a header whose plus signs are not escaped", []sending{header(certHeader, strings.ReplaceAll(url.PathEscape(string(g.id.pem())), "%2B", "+"))}, 200, ""},
		{"a signature", []sending{header("Mdm-Signature", sig)}, 200, ""},
		{"a signature and a header that agree", []sending{header("Mdm-Signature", sig), byProxy(g.id)}, 200, ""},
		{"all three", []sending{header("Mdm-Signature", sig), byProxy(g.id), byTLSWith(g.id.cert)}, 200, ""},

		{"nothing", nil, 400, "no-identity"},
		{"an empty header", []sending{header(certHeader, "")}, 400, "no-identity"},
		{"another device's certificate", []sending{byProxy(other)}, 400, "foreign-certificate"},
		{"another device's signature", []sending{header("Mdm-Signature", signCMS(t, other, body, signing{}))}, 400, "foreign-certificate"},
		{"another CA's certificate", []sending{byProxy(stranger)}, 400, "bad-certificate"},
		{"another CA's certificate at our own TLS", []sending{byTLSWith(stranger.cert)}, 400, "bad-certificate"},
		{"another CA's signature", []sending{header("Mdm-Signature", signCMS(t, stranger, body, signing{}))}, 400, "bad-certificate"},
		{"a signature and a header that differ", []sending{header("Mdm-Signature", sig), byProxy(other)}, 400, "identities-differ"},
		{"TLS and a header that differ", []sending{byTLSWith(other.cert), byProxy(g.id)}, 400, "identities-differ"},
		{"a header beside a broken signature", []sending{byProxy(g.id), header("Mdm-Signature", "AAAA")}, 400, "bad-signature"},
		{"a header beside another message's signature", []sending{byProxy(g.id), header("Mdm-Signature", signCMS(t, g.id, []byte("x"), signing{}))}, 400, "bad-signature"},
		{"the header twice", []sending{byProxy(g.id), header(certHeader, g.id.escaped())}, 400, "bad-certificate"},
		{"the signature twice", []sending{header("Mdm-Signature", sig), header("Mdm-Signature", sig)}, 400, "bad-signature"},
		{"the header from elsewhere", []sending{byProxy(g.id), from("192.0.2.7:4000")}, 400, "untrusted-proxy"},
		{"the header from elsewhere, in IPv6", []sending{byProxy(g.id), from("[2001:db8::1]:4000")}, 400, "untrusted-proxy"},
		{"the header from nowhere", []sending{byProxy(g.id), from("@")}, 400, "untrusted-proxy"},
		{"the header from elsewhere beside TLS", []sending{byProxy(other), from("192.0.2.7:4000"), byTLSWith(g.id.cert)}, 200, "untrusted-proxy"},
		{"the proxy in IPv6 form", []sending{byProxy(g.id), from("[::ffff:127.0.0.1]:4000")}, 200, ""},
		{"a header of nonsense", []sending{header(certHeader, "%%%")}, 400, "bad-certificate"},
		{"a header of base64 that is no certificate", []sending{header(certHeader, ":AAAA:")}, 400, "bad-certificate"},
		{"a header of RFC 9440 without its end", []sending{header(certHeader, strings.TrimSuffix(g.id.rfc9440(), ":"))}, 400, "bad-certificate"},
		{"a header that is too long", []sending{header(certHeader, ":"+strings.Repeat("A", maxHeader)+":")}, 400, "bad-certificate"},
		{"PEM that broke lines of the header", []sending{wrap}, 200, ""},
		{"a CA between, sent along", []sending{byTLSWith(between.issue(t, "x").cert, between.cert)}, 400, "foreign-certificate"},
		{"a CA between, not sent along", []sending{byTLSWith(between.issue(t, "x").cert)}, 400, "bad-certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := h.refusals()
			w := h.put("/mdm/connect", body, test.how...)
			if w.Code != test.status {
				t.Errorf("answered %d %s, want %d", w.Code, w.Body, test.status)
			}
			after := h.refusals()
			if test.class != "" && after[test.class] != before[test.class]+1 {
				t.Errorf("not counted as %s: %v, before %v", test.class, after, before)
			}
			if strings.Contains(w.Body.String(), "U1") {
				t.Errorf("the answer tells what was sent: %s", w.Body)
			}
		})
	}
}

// wrapped is how some proxies pass PEM on: its line ends as spaces, nothing escaped.
func wrapped(id identity) string {
	return strings.TrimSpace(strings.ReplaceAll(string(id.pem()), "\n", " "))
}

// Base64 that lost four plus signs is base64 still: a certificate with four of them must come through every form.
func TestPlusSignsInAHeaderSurvive(t *testing.T) {
	a := newAuthority(t, "CA")
	id := a.issue(t, "U1")
	for strings.Count(string(id.pem()), "+")%4 != 0 || !strings.Contains(string(id.pem()), "+") {
		id = a.issue(t, "U1")
	}
	for name, value := range map[string]string{
		"escaped as a query":          id.escaped(),
		"escaped as a path":           url.PathEscape(string(id.pem())),
		"spaces as %20":               strings.ReplaceAll(id.escaped(), "+", "%20"),
		"line ends as spaces":         wrapped(id),
		"line ends as escaped spaces": url.QueryEscape(wrapped(id)),
	} {
		found, err := certificatesInHeader(value)
		if err != nil || len(found) != 1 || !bytes.Equal(found[0], id.cert.Raw) {
			t.Errorf("%s: found %d certificates, %v, not the one that was sent", name, len(found), err)
		}
	}
}

func (a *authority) issueAuthority(t testing.TB, name string) *authority {
	t.Helper()
	id := a.issue(t, name)
	tmpl := *id.cert
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage, tmpl.SerialNumber = true, true, x509.KeyUsageCertSign, newSerial()
	tmpl.SubjectKeyId = []byte(name)
	key := ecKey(t)
	return &authority{sign(t, &tmpl, a.cert, key.Public(), a.key), key}
}

func (h *house) refusals() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	copied := map[string]int{}
	for k, n := range h.refused {
		copied[k] = n
	}
	return copied
}

func TestCertificatesAreValidByOurOwnClock(t *testing.T) {
	for _, test := range []struct {
		name        string
		from, until time.Duration // from noon
		believed    bool
	}{
		{"valid", -time.Hour, time.Hour, true},
		{"expired", -time.Hour, -time.Second, false},
		{"not valid yet, by less than clocks differ", 9 * time.Minute, time.Hour, true},
		{"not valid yet", 11 * time.Minute, time.Hour, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := build(t, nil)
			id := h.ca.issueFor(t, "U1", noon.Add(test.from), noon.Add(test.until), ecKey(t))
			body := xml(t, map[string]any{"UDID": "U1", "MessageType": "Authenticate", "Topic": topic})
			// A signing time within the certificate's validity is the signer's own word, and changes nothing.
			sig := signCMS(t, id, body, signing{attributes: true, time: noon.Add(test.from).Add(time.Second)})
			for name, how := range map[string]sending{
				"TLS": byTLSWith(id.cert), "header": byProxy(id), "signature": header("Mdm-Signature", sig),
			} {
				if w := h.put("/mdm", body, how); (w.Code == 200) != test.believed {
					t.Errorf("%s was answered %d %s", name, w.Code, w.Body)
				}
			}
		})
	}
}

func TestARememberedCertificateExpires(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	g.report("Idle", "", nil)
	h.wait(2 * 365 * 24 * time.Hour)
	g.say(400, "/mdm/connect", map[string]any{"Status": "Idle"})
}

func TestWithoutAuthoritiesNobodyIsBelieved(t *testing.T) {
	h := build(t, func(h *house) { h.door.Identity.Authorities = nil })
	g := h.guest("U1")
	g.say(400, "/mdm/checkin", map[string]any{"MessageType": "Authenticate", "Topic": topic})
}

func TestAWayThatIsNotSetIsNotTaken(t *testing.T) {
	h := build(t, func(h *house) { h.door.Identity.Methods = []string{byTLS} })
	g := h.guest("U1")
	body := xml(t, map[string]any{"UDID": "U1", "MessageType": "Authenticate", "Topic": topic})
	for name, how := range map[string]sending{"header": byProxy(g.id), "signature": header("Mdm-Signature", signCMS(t, g.id, body, signing{}))} {
		if w := h.put("/mdm", body, how); w.Code != 400 {
			t.Errorf("%s was answered %d", name, w.Code)
		}
	}
	if w := h.put("/mdm", body, byTLSWith(g.id.cert)); w.Code != 200 {
		t.Errorf("TLS was answered %d", w.Code)
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, test := range []struct {
		name string
		set  *Identity
		good bool
	}{
		{"all three", &Identity{Methods: []string{"mtls", "signature", "header:Client-Cert"}, TrustedProxies: proxies}, true},
		{"none", &Identity{}, false},
		{"a word that is none", &Identity{Methods: []string{"password"}}, false},
		{"a header without a name", &Identity{Methods: []string{"header:"}, TrustedProxies: proxies}, false},
		{"a header with a space", &Identity{Methods: []string{"header:a b"}, TrustedProxies: proxies}, false},
		{"a header that nobody may set", &Identity{Methods: []string{"header:Client-Cert"}}, false},
	} {
		if err := test.set.Check(); (err == nil) != test.good {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestWhatIsRememberedStaysWithinItsBound(t *testing.T) {
	v := newVerified(8)
	verifications := 0
	ask := func(name string) {
		_, err := v.recall([]byte(name), noon, func() (trusted, error) {
			verifications++
			return trusted{from: noon.Add(-time.Hour), until: noon.Add(time.Hour)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		ask("hot")
		ask(base64.StdEncoding.EncodeToString([]byte{byte(i)}))
		if n := len(v.young) + len(v.old); n > 8 {
			t.Fatalf("%d certificates are remembered, not 8", n)
		}
	}
	if verifications != 101 {
		t.Errorf("%d verifications, want 101: what is asked for often is remembered", verifications)
	}
}

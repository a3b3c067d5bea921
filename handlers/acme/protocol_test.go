package acme_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	independent "golang.org/x/crypto/acme"

	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/acme"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

func TestTheDirectory(t *testing.T) {
	h := build(t, nil)
	resp, err := http.Get(h.web.URL + acme.DirectoryPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var at map[string]string
	if err := json.NewDecoder(resp.Body).Decode(&at); err != nil || len(at) != 4 {
		t.Errorf("the directory is %v, %v", at, err)
	}
	for _, name := range []string{"newNonce", "newAccount", "newOrder", "revokeCert"} {
		if !strings.HasPrefix(at[name], h.web.URL+"/acme/") {
			t.Errorf("%s is at %q", name, at[name])
		}
	}
	for method, status := range map[string]int{http.MethodHead: http.StatusOK, http.MethodGet: http.StatusNoContent} {
		req, err := http.NewRequestWithContext(t.Context(), method, at["newNonce"], nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != status || got.Header.Get("Replay-Nonce") == "" || got.Header.Get("Cache-Control") != "no-store" || !strings.Contains(got.Header.Get("Link"), `rel="index"`) {
			t.Errorf("%s newNonce: %d %v", method, got.StatusCode, got.Header)
		}
	}
}

func TestARequestThatWasSentBefore(t *testing.T) {
	h := build(t, nil)
	c, ctx := h.client(), t.Context()
	nonce, err := c.Nonce(ctx)
	if err != nil {
		t.Fatal(err)
	}
	request, err := c.Sign(c.Account, nonce, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(ctx, c.Account, request); err != nil {
		t.Fatal(err)
	}
	answer, err := c.Send(ctx, c.Account, request)
	want(t, err, "badNonce")
	if answer.Header.Get("Replay-Nonce") == "" {
		t.Error("the client is given no other nonce")
	}
	if _, err := c.Post(ctx, c.Account, nil, nil); err != nil {
		t.Errorf("by that nonce: %v", err)
	}
	nonce, err = c.Nonce(ctx)
	if err != nil {
		t.Fatal(err)
	}
	h.now.Add(2 * time.Hour.Microseconds())
	request, err = c.Sign(c.Account, nonce, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Send(ctx, c.Account, request)
	want(t, err, "badNonce")
}

// Each request is wrong in one way.
func TestRequestsThatDoNotHold(t *testing.T) {
	h := build(t, nil)
	c, ctx := h.client(), t.Context()
	nonce := func() string {
		text, err := c.Nonce(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	sign := func(key *ecdsa.PrivateKey, account, address, nonce string, payload any) []byte {
		text, err := mdmtest.SignACME(key, jose.ES256, account, address, nonce, payload)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	altered := func(text []byte, change func(map[string]any)) []byte {
		var parts map[string]any
		if err := json.Unmarshal(text, &parts); err != nil {
			t.Fatal(err)
		}
		change(parts)
		out, err := json.Marshal(parts)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	order, account := c.At("newOrder"), c.At("newAccount")
	wish := map[string]any{"identifiers": []map[string]string{{"type": "permanent-identifier", "value": h.pass(handlers.Pass{})}}}
	protected := func(text string) func(map[string]any) {
		return func(p map[string]any) { p["protected"] = base64.RawURLEncoding.EncodeToString([]byte(text)) }
	}
	for name, tt := range map[string]struct {
		to      string
		request []byte
		problem string
	}{
		"no nonce":                         {order, sign(c.Key, c.Account, order, "", wish), "badNonce"},
		"a nonce that is made up":          {order, sign(c.Key, c.Account, order, base64.RawURLEncoding.EncodeToString(make([]byte, 32)), wish), "badNonce"},
		"signed for another address":       {order, sign(c.Key, c.Account, account, nonce(), wish), "unauthorized"},
		"signed by another key":            {order, sign(other, c.Account, order, nonce(), wish), "unauthorized"},
		"an account that is not":           {order, sign(c.Key, h.web.URL+"/acme/account/AAAA", order, nonce(), wish), "accountDoesNotExist"},
		"an account at another server":     {order, sign(c.Key, "https://elsewhere.example/acme/account/1", order, nonce(), wish), "accountDoesNotExist"},
		"a key where an account should be": {order, sign(c.Key, "", order, nonce(), wish), "malformed"},
		"an account where a key should be": {account, sign(c.Key, c.Account, account, nonce(), map[string]any{}), "malformed"},
		"an altered payload": {order, altered(sign(c.Key, c.Account, order, nonce(), wish), func(p map[string]any) {
			p["payload"] = base64.RawURLEncoding.EncodeToString([]byte(`{}`))
		}), "unauthorized"},
		"no signature": {order, altered(sign(c.Key, c.Account, order, nonce(), wish), func(p map[string]any) { delete(p, "signature") }), "malformed"},
		"a header that is not signed": {order, altered(sign(c.Key, c.Account, order, nonce(), wish), func(p map[string]any) {
			p["header"] = map[string]string{"kid": "x"}
		}), "malformed"},
		"several signatures": {order, altered(sign(c.Key, c.Account, order, nonce(), wish), func(p map[string]any) { p["signatures"] = []any{} }), "malformed"},
		"no algorithm":       {order, altered(sign(c.Key, c.Account, order, nonce(), wish), protected(`{"alg":"none","nonce":"x","url":"`+order+`","kid":"x"}`)), "badSignatureAlgorithm"},
		"a shared secret":    {order, altered(sign(c.Key, c.Account, order, nonce(), wish), protected(`{"alg":"HS256","nonce":"x","url":"`+order+`","kid":"x"}`)), "badSignatureAlgorithm"},
		"key and account":    {order, altered(sign(c.Key, c.Account, order, nonce(), wish), protected(`{"alg":"ES256","nonce":"x","url":"`+order+`","kid":"x","jwk":{}}`)), "malformed"},
		"neither":            {order, altered(sign(c.Key, c.Account, order, nonce(), wish), protected(`{"alg":"ES256","nonce":"x","url":"`+order+`"}`)), "malformed"},
		"an extension":       {order, altered(sign(c.Key, c.Account, order, nonce(), wish), protected(`{"alg":"ES256","nonce":"x","url":"`+order+`","kid":"x","crit":["b64"],"b64":false}`)), "malformed"},
		"a key that is none": {account, altered(sign(c.Key, "", account, nonce(), wish), protected(`{"alg":"ES256","nonce":"x","url":"`+account+`","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`)), "badPublicKey"},
		"a secret key":       {account, altered(sign(c.Key, "", account, nonce(), wish), protected(`{"alg":"ES256","nonce":"x","url":"`+account+`","jwk":{"kty":"oct","k":"AAAA"}}`)), "badPublicKey"},
		"compact":            {order, []byte("e30.e30.e30"), "malformed"},
		"nothing":            {order, nil, "malformed"},
		"nested 5,000 deep":  {order, bytes.Repeat([]byte("["), 5000), "malformed"},
		"too long":           {order, bytes.Repeat([]byte(" "), 65<<10), "malformed"},
		"a header too long":  {order, fmt.Appendf(nil, `{"protected":%q,"payload":"","signature":"AA"}`, strings.Repeat("A", 9<<10)), "malformed"},
		"not for a device":   {order, sign(c.Key, c.Account, order, nonce(), map[string]any{"identifiers": []map[string]string{{"type": "dns", "value": "example.com"}}}), "unsupportedIdentifier"},
		"for nobody":         {order, sign(c.Key, c.Account, order, nonce(), map[string]any{}), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Send(ctx, tt.to, tt.request)
			want(t, err, tt.problem)
		})
	}
	if n := len(events[certificate.Issued](h)); n != 0 {
		t.Errorf("%d certificates were issued", n)
	}
}

func TestOtherContentTypesAreRefused(t *testing.T) {
	h := build(t, nil)
	resp, err := http.Post(h.web.URL+"/acme/new-account", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnsupportedMediaType || !bytes.Contains(body, []byte("application/jose+json")) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// Keys of every kind that is taken make accounts, weak ones do not.
func TestKeysOfAccounts(t *testing.T) {
	h := build(t, nil)
	t.Setenv("GODEBUG", "rsa1024min=0")
	c, ctx := h.client(), t.Context()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key       *rsa.PrivateKey
		algorithm jose.SignatureAlgorithm
		problem   string
	}{{key, jose.RS256, ""}, {key, jose.PS256, ""}, {weak, jose.RS256, "badPublicKey"}} {
		nonce, err := c.Nonce(ctx)
		if err != nil {
			t.Fatal(err)
		}
		request, err := mdmtest.SignACME(tt.key, tt.algorithm, "", c.At("newAccount"), nonce, map[string]any{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Send(ctx, c.At("newAccount"), request)
		want(t, err, tt.problem)
	}
	_, err = c.Post(ctx, c.Account, map[string]string{"status": "deactivated"}, nil)
	want(t, err, "unauthorized")
	_, err = h.client().Post(ctx, c.Account, nil, nil)
	want(t, err, "unauthorized")
}

func TestOrdersAreTheirAccounts(t *testing.T) {
	h := build(t, nil)
	ctx := t.Context()
	d, thief := h.device(1, mdmtest.IOS), h.client()
	o, err := d.client.Order(ctx, h.pass(handlers.Pass{}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.client.Certify(ctx, o, d.key)
	want(t, err, "orderNotReady")
	var stands struct{ Status string }
	for _, at := range []string{o.Address, o.Authorizations[0], o.Challenge.URL} {
		if _, err := d.client.Post(ctx, at, nil, &stands); err != nil || stands.Status != "pending" {
			t.Errorf("%s is %q, %v", at, stands.Status, err)
		}
		_, err = thief.Post(ctx, at, nil, nil)
		want(t, err, "unauthorized")
	}
	want(t, thief.Answer(ctx, o, d.object(o)), "unauthorized")
	if err := d.client.Answer(ctx, o, d.object(o)); err != nil {
		t.Fatal(err)
	}
	for at, status := range map[string]string{o.Address: "ready", o.Authorizations[0]: "valid", o.Challenge.URL: "valid"} {
		if _, err := d.client.Post(ctx, at, nil, &stands); err != nil || stands.Status != status {
			t.Errorf("%s is %q, %v", at, stands.Status, err)
		}
	}
	_, err = thief.Certify(ctx, o, d.key)
	want(t, err, "unauthorized")
	_, err = d.client.Post(ctx, h.web.URL+"/acme/order/AAAA", nil, nil)
	want(t, err, "malformed")
	if bytes.Contains([]byte(o.Address+o.Finalize+o.Challenge.URL), []byte("pass")) {
		t.Error("an address tells the identifier")
	}
	late, err := d.client.Order(ctx, h.pass(handlers.Pass{}))
	if err != nil {
		t.Fatal(err)
	}
	h.now.Add(61 * time.Minute.Microseconds())
	if _, err := d.client.Post(ctx, late.Address, nil, &stands); err == nil {
		t.Error("a nonce of an hour ago is good")
	}
	if _, err := d.client.Post(ctx, late.Address, nil, &stands); err != nil || stands.Status != "invalid" {
		t.Errorf("an order of an hour ago is %q, %v", stands.Status, err)
	}
	want(t, d.client.Answer(ctx, late, d.object(late)), "malformed")
}

func TestRevocation(t *testing.T) {
	h := build(t, nil)
	ctx := t.Context()
	revoke := func(c *mdmtest.ACME, der []byte, reason int) error {
		_, err := c.Post(ctx, c.At("revokeCert"), map[string]any{"certificate": base64.RawURLEncoding.EncodeToString(der), "reason": reason}, nil)
		return err
	}
	d := h.device(1, mdmtest.IOS)
	one, err := d.comes(h.pass(handlers.Pass{}))
	if err != nil {
		t.Fatal(err)
	}
	want(t, revoke(h.client(), one.Raw, 1), "unauthorized")
	want(t, revoke(d.client, one.Raw, 2), "badRevocationReason")
	want(t, revoke(d.client, h.root.Certificate.Raw, 1), "malformed")
	want(t, revoke(d.client, []byte("no certificate"), 1), "malformed")
	if err := revoke(d.client, one.Raw, 1); err != nil {
		t.Fatal(err)
	}
	want(t, revoke(d.client, one.Raw, 1), "alreadyRevoked")
	gone := events[authority.CertificateRevoked](h)
	if !h.authority.Revoked(handlers.Fingerprint(one)) || len(gone) != 1 || gone[0].Because != "key-compromise" || gone[0].Issuer != handlers.Fingerprint(h.root.Certificate) {
		t.Errorf("the log has %+v", gone)
	}
	d = h.device(2, mdmtest.IOS)
	two, err := d.comes(h.pass(handlers.Pass{}))
	if err != nil {
		t.Fatal(err)
	}
	holder := h.client() // signs by the certificate's own key
	nonce, err := holder.Nonce(ctx)
	if err != nil {
		t.Fatal(err)
	}
	request, err := mdmtest.SignACME(d.key, jose.ES384, "", holder.At("revokeCert"), nonce, map[string]any{"certificate": base64.RawURLEncoding.EncodeToString(two.Raw)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Send(ctx, holder.At("revokeCert"), request); err != nil || !h.authority.Revoked(handlers.Fingerprint(two)) {
		t.Errorf("by its own key: %v", err)
	}
}

// A client that others have written gets a certificate too.
func TestAnIndependentClient(t *testing.T) {
	h := build(t, nil)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &independent.Client{Key: key, DirectoryURL: h.web.URL + acme.DirectoryPath}
	if _, err := c.Register(ctx, &independent.Account{Contact: []string{"mailto:ada@example.com"}}, independent.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	order, err := c.AuthorizeOrder(ctx, []independent.AuthzID{{Type: "permanent-identifier", Value: h.pass(handlers.Pass{Once: true})}})
	if err != nil {
		t.Fatal(err)
	}
	proof, err := c.GetAuthorization(ctx, order.AuthzURLs[0])
	if err != nil || len(proof.Challenges) != 1 || proof.Challenges[0].Type != "device-attest-01" {
		t.Fatalf("it is to show %+v, %v", proof, err)
	}
	d := &device{Device: mdmtest.New(1, mdmtest.IOS), h: h, key: newKey(t), apple: h.apple}
	d.attested = d.key.Public()
	shows, err := json.Marshal(map[string]string{"attObj": d.object(mdmtest.ACMEOrder{Challenge: mdmtest.ACMEChallenge{Token: proof.Challenges[0].Token}})})
	if err != nil {
		t.Fatal(err)
	}
	proof.Challenges[0].Payload = shows
	if _, err := c.Accept(ctx, proof.Challenges[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WaitAuthorization(ctx, order.AuthzURLs[0]); err != nil {
		t.Fatal(err)
	}
	if order, err = c.WaitOrder(ctx, order.URI); err != nil {
		t.Fatal(err)
	}
	chain, _, err := c.CreateOrderCert(ctx, order.FinalizeURL, csr(t, d.key), true)
	if err != nil || len(chain) != 2 {
		t.Fatalf("the chain has %d certificates, %v", len(chain), err)
	}
	if issued := events[certificate.Issued](h); len(issued) != 1 || !issued[0].Attested.Vouched() {
		t.Errorf("the log has %+v", issued)
	}
	if err := c.RevokeCert(ctx, nil, chain[0], independent.CRLReasonSuperseded); err != nil {
		t.Errorf("it cannot revoke: %v", err)
	}
}

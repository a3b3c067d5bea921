package tests

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// certificateHeaders are the forms in which proxies pass a certificate on.
var certificateHeaders = map[string]func(p *person, root []byte) string{
	"header":  func(p *person, _ []byte) string { return url.QueryEscape(p.pem()) }, // Go and others: a space is a plus sign
	"percent": func(p *person, _ []byte) string { return url.PathEscape(p.pem()) },  // nginx: everything that is not plain
	"plus": func(p *person, _ []byte) string { // a load balancer of Amazon's: plus, = and / stay as they are
		return strings.NewReplacer("\n", "%0A", " ", "%20").Replace(p.pem())
	},
	"spaces":  func(p *person, _ []byte) string { return strings.ReplaceAll(p.pem(), "\n", " ") }, // Apache: line ends become spaces
	"oneline": func(p *person, _ []byte) string { return strings.ReplaceAll(p.pem(), "\n", "") },
	"chain":   func(p *person, root []byte) string { return url.QueryEscape(p.pem() + string(root)) },
	"rfc9440": func(p *person, _ []byte) string { return ":" + base64.StdEncoding.EncodeToString(p.cert.Raw) + ":" },
	"halved":  func(p *person, _ []byte) string { return url.QueryEscape(p.pem()[:200]) },
	"garbage": func(*person, []byte) string { return "%zz" },
}

func (p *person) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert.Raw}))
}

// badSignatures are headers that prove nothing.
var badSignatures = map[string]func(p *person, body []byte) (string, error){
	"long": func(*person, []byte) (string, error) { return strings.Repeat("A", 20<<10), nil }, // more than a signature may be
	"deep": func(*person, []byte) (string, error) { // thousands of levels in what is short enough
		return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x30, 0x80}, 6000)), nil
	},
	"altered": func(p *person, body []byte) (string, error) { // of another message
		signature, err := p.sign(append([]byte(" "), body...), false)
		return base64.StdEncoding.EncodeToString(signature), err
	},
}

// promise ID PATH BYTES announces a message so long, with a proof of who sends it, and sends it only if it is asked
// to: a server that asks has not looked first.
func (s *story) promise(out io.Writer, args []string) error {
	r, rest, err := s.speaker(args, 3)
	if err != nil {
		return err
	}
	asked := &wasAsked{}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPut, s.url+rest[1], asked)
	if err != nil {
		return err
	}
	if req.ContentLength, err = strconv.ParseInt(rest[2], 10, 64); err != nil {
		return err
	}
	req.Header.Set("Expect", "100-continue")
	if err := s.prove(req, r, nil); err != nil {
		return err
	}
	err = s.do(out, client(), req)
	if asked.yes {
		return fmt.Errorf("the server asked for %s bytes", rest[2])
	}
	return err
}

// wasAsked is a body that remembers whether anybody read it.
type wasAsked struct{ yes bool }

func (w *wasAsked) Read([]byte) (int, error) {
	w.yes = true
	return 0, errors.New("nobody was to read this")
}

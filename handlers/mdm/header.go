package mdm

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// certificatesInHeader returns the certificates in a header that a proxy has set, as DER, the device's own first.
// Two forms are in use: RFC 9440, base64 of the DER between colons, and PEM escaped for a URL, which nginx and
// others make.
func certificatesInHeader(value string) ([][]byte, error) {
	if len(value) > maxHeader {
		return nil, errors.New("the certificate header is too long")
	}
	if inner, ok := strings.CutPrefix(value, ":"); ok {
		inner, ok = strings.CutSuffix(inner, ":")
		der, err := base64.StdEncoding.DecodeString(inner)
		if !ok || err != nil || len(der) == 0 {
			return nil, errors.New("the certificate header is not base64 between colons")
		}
		return [][]byte{der}, nil
	}
	// A plus sign stands for a space to some, for itself to others. Only one of the two makes valid PEM.
	for _, unescape := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
		if text, err := unescape(value); err == nil {
			if found := certificatesInPEM([]byte(text)); len(found) > 0 {
				return found, nil
			}
		}
	}
	return nil, errors.New("the certificate header holds no escaped PEM")
}

func certificatesInPEM(text []byte) (found [][]byte) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return found
		}
		if block.Type == "CERTIFICATE" {
			found = append(found, block.Bytes)
		}
	}
}

// trusts reports whether the peer with this address may say who its clients are.
func (i *Identity) trusts(remote string) bool {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	for _, p := range i.TrustedProxies {
		if p.Contains(peer.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

package mdm

import (
	"encoding/base64"
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
	found := certificatesInPEM(unescape(value))
	if len(found) == 0 {
		return nil, errors.New("the certificate header holds no escaped PEM")
	}
	return found, nil
}

const beginCertificate, endCertificate = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

// unescape returns what a proxy has escaped for a URL. A plus sign stands for a space to some and for itself to others;
// PEM's first line tells which, for it has a space. To try both and take what decodes would not do: base64 that lost
// four plus signs is base64 still, of another certificate.
func unescape(value string) string {
	decode := url.PathUnescape
	if strings.Contains(value, "BEGIN+CERTIFICATE") {
		decode = url.QueryUnescape
	}
	text, err := decode(value)
	if err != nil {
		return ""
	}
	return text
}

// certificatesInPEM returns the certificates in text, whose line ends may have become spaces on the way.
func certificatesInPEM(text string) (found [][]byte) {
	for {
		_, rest, _ := strings.Cut(text, beginCertificate)
		body, after, whole := strings.Cut(rest, endCertificate)
		if !whole {
			return found
		}
		der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
		if err != nil {
			return nil
		}
		found, text = append(found, der), after
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

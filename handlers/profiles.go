package handlers

import (
	"crypto/x509"
	"fmt"
	"maps"

	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// WriteProfile returns a profile as devices read it, not signed: XML, its keys in order, so that the same profile is the
// same bytes.
func WriteProfile(v profile.Values) ([]byte, error) {
	text, err := plist.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write a profile: %w", err)
	}
	return text, nil
}

// EncipherProfile returns the profile with its payloads enciphered: only devices that hold the key of one of the
// certificates can read them. What the profile is called stays as it is. Source: Apple, EncryptedPayloadContent.
func EncipherProfile(v profile.Values, devices ...*x509.Certificate) (profile.Values, error) {
	payloads, err := plist.Marshal(v["PayloadContent"])
	if err != nil {
		return nil, fmt.Errorf("write a profile's payloads: %w", err)
	}
	sealed, err := cms.AES256().Encipher(payloads, devices...)
	if err != nil {
		return nil, err
	}
	v = maps.Clone(v)
	delete(v, "PayloadContent")
	v["EncryptedPayloadContent"] = sealed
	return v, nil
}

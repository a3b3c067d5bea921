package mdmtest

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"time"
)

// A Hardware plays the part of a device in which keys are made, and of Apple, who attests that: a root, and an authority under it.
type Hardware struct {
	Root    *CA
	between *CA
}

// NewHardware makes a make-believe Apple that attests.
func NewHardware() (*Hardware, error) {
	root, err := NewCA("Enterprise Attestation Root CA")
	if err != nil {
		return nil, err
	}
	between, err := NewCA("Enterprise Attestation Sub CA 1")
	if err != nil {
		return nil, err
	}
	t := template("Enterprise Attestation Sub CA 1")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	if between.Certificate, err = issue(t, root.Certificate, between.Key.Public(), root.Key); err != nil {
		return nil, err
	}
	return &Hardware{root, between}, nil
}

// Statements are what an attestation says, by the last two numbers of their identifiers. Source: Apple, "Managed Device
// Attestation".
type Statements map[[2]int]string

// About returns what is attested about a device: a User Enrolment tells no identifiers, a Mac tells how it is secured, and its
// ProvisioningUDID for a UDID.
func About(d *Device) Statements {
	says := Statements{{10, 1}: d.OSVersion, {10, 2}: "2341.41.1", {10, 3}: "11881.61.3", {9, 4}: d.Model}
	if d.EnrollmentID == "" {
		says[[2]int{9, 1}], says[[2]int{9, 2}] = d.SerialNumber, d.UDID
	}
	if d.Platform == MacOS {
		says[[2]int{9, 2}] = "00008112-" + d.SerialNumber
		says[[2]int{13, 1}], says[[2]int{13, 2}], says[[2]int{13, 3}] = "\x00", "\x02\x01\x02", "\x00"
	}
	return says
}

// attest adds to an answer to DeviceInformation what its hardware attests, if that was asked for and it has such hardware.
func (d *Device) attest(answer, asks dict) dict {
	asked, some := texts(asks["Queries"])
	if d.Hardware == nil || !some || !slices.Contains(asked, "DevicePropertiesAttestation") {
		return answer
	}
	nonce, _ := asks["DeviceAttestationNonce"].([]byte)
	if chain, err := d.Hardware.Attest(d, d.Hardware.Root.Key.Public(), nonce); err == nil {
		answer["DevicePropertiesAttestation"] = chain
	}
	return answer
}

// Attest attests that a key was made in a device, when asked for with freshness: a chain, DER, the leaf first, the root left
// out.
func (h *Hardware) Attest(d *Device, public crypto.PublicKey, freshness []byte) ([][]byte, error) {
	says := About(d)
	says[[2]int{11, 1}] = string(freshness)
	return h.Say(says, public)
}

// Say attests whatever is to be said.
func (h *Hardware) Say(says Statements, public crypto.PublicKey) ([][]byte, error) {
	t := template("attested")
	t.Subject = pkix.Name{CommonName: "00008110-attested"}
	t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	for at, value := range says {
		t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, at[0], at[1]}, Value: []byte(value)})
	}
	leaf, err := issue(t, h.between.Certificate, public, h.between.Key)
	if err != nil {
		return nil, err
	}
	return [][]byte{leaf.Raw, h.between.Certificate.Raw}, nil
}

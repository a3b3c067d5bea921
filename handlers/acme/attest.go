package acme

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/fxamacker/cbor/v2"

	"github.com/rollcall-mdm/rollcall/handlers"
)

// maxObject is the longest attestation object that is read, in bytes.
const maxObject = 48 << 10

// An object is WebAuthn's attestation object. Of what else may stand in it nothing is needed. Source: W3C, "Web
// Authentication", 6.5; draft-ietf-acme-device-attest.
type object struct {
	Format    string    `cbor:"fmt"`
	Statement statement `cbor:"attStmt"`
}

// A statement is Apple's: a chain of certificates, the leaf first. It is empty if the device attests nothing.
type statement struct {
	Chain [][]byte `cbor:"x5c"`
}

// reader reads objects. What is nested deeper or has more parts than an attestation can is refused before it is built.
var reader = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		MaxNestedLevels: 4, MaxArrayElements: 16, MaxMapPairs: 16, UTF8: cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err) // limits that the library does not have
	}
	return mode
}()

// readObject returns the chain in an attestation object; none if the device attests nothing.
func readObject(text string) ([][]byte, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > base64.RawURLEncoding.EncodedLen(maxObject) {
		return nil, errAttestation("the attestation object has at most %d bytes", maxObject)
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errAttestation("attObj is not base64 for addresses")
	}
	var o object
	if err := reader.Unmarshal(raw, &o); err != nil {
		return nil, errAttestation("the attestation object cannot be read")
	}
	switch {
	case o.Format != "apple" && o.Format != "none":
		return nil, errAttestation("attestations of this format are not taken: Apple's are called apple")
	case o.Format == "none" && len(o.Statement.Chain) > 0:
		return nil, errAttestation("an object that attests nothing has no certificates")
	}
	return o.Statement.Chain, nil
}

func errAttestation(format string, args ...any) error {
	return wrong(badAttestation, http.StatusBadRequest, format, args...)
}

// challenge takes the answer to an order's challenge, or tells how that stands. What was refused may be tried again while the
// order lasts: it is the same challenge then, with the same token.
func (d *Door) challenge(c *call) error {
	o, err := d.ordered(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	_, found, err := d.Authority.Answered(ctx, o.Ticket, o.ID)
	if err != nil {
		return err
	}
	status := valid
	if !found {
		if status, err = d.answer(c, o); err != nil {
			return err
		}
	}
	one, err := d.challengeObject(o, status)
	if err != nil {
		return err
	}
	proof, err := d.address(proofPath, o)
	if err != nil {
		return err
	}
	c.Response().Header().Add("Link", "<"+proof+`>;rel="up"`)
	return c.JSON(http.StatusOK, one)
}

// answer judges an answer and records it.
func (d *Door) answer(c *call, o order) (status string, err error) {
	switch {
	case d.ended(o) && len(c.payload) == 0:
		return invalid, nil
	case len(c.payload) == 0:
		return pending, nil
	case d.ended(o):
		return "", errEnded()
	}
	var shows struct {
		Object string `json:"attObj"`
	}
	if err := c.payloadInto(&shows); err != nil {
		return "", err
	}
	chain, err := readObject(shows.Object)
	if err != nil {
		return "", err
	}
	says := o.answered()
	if len(chain) > 0 {
		told, err := d.judge(c, o, chain)
		if err != nil {
			return "", err
		}
		says.Attested = &told.Attestation
		if says.PublicKey, err = handlers.PublicKeyID(told.PublicKey); err != nil {
			return "", errAttestation("the attested key is of a kind that gets no certificate")
		}
	}
	if err := d.Authority.MayAnswer(says.Attested); err != nil {
		return "", told(err, badAttestation, http.StatusForbidden)
	}
	return valid, told(d.Authority.Answer(c.Request().Context(), o.Ticket, says, o.Once, c.meta(o.Device)), unauthorized, http.StatusForbidden)
}

// judge checks an attestation: that it is Apple's, was made for this order, and is about the device that the order is for.
func (d *Door) judge(c *call, o order, chain [][]byte) (handlers.Attested, error) {
	attested, err := d.Attestations.Judge(chain, d.Now())
	if err != nil {
		return attested, told(err, badAttestation, http.StatusBadRequest)
	}
	if sum := sha256.Sum256([]byte(d.token(o))); !attested.Fresh(sum[:]) {
		return attested, errAttestation("the attestation was not made for this order: its freshness is not the SHA-256 of the challenge's token")
	}
	if o.Device == "" {
		return attested, nil
	}
	if attested.UDID != "" && !attested.Mac && d.Pseudonyms.Device(attested.UDID) != o.Device {
		return attested, errOther()
	}
	if d.Serial == nil || attested.SerialNumber == "" {
		return attested, nil
	}
	serial, err := d.Serial(c.Request().Context(), o.Device)
	if err != nil {
		return attested, err
	}
	if serial != "" && serial != attested.SerialNumber {
		return attested, errOther()
	}
	return attested, nil
}

// errOther refuses an attestation of another device than the identifier was made for.
func errOther() error {
	return wrong(unauthorized, http.StatusForbidden, "the attestation is of another device than the identifier was made for")
}

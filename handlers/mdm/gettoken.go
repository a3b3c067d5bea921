package mdm

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// A Voucher vouches to Apple that a device is managed here, when a Managed Apple Account signs in on it: with the
// key whose certificate was uploaded to Apple Business or School Manager for this server.
type Voucher struct {
	Server string // the server's UUID there, as its account detail tells
	Key    *rsa.PrivateKey
}

// pairingHolds is how long a watch may take to enrol with what its iPhone was given for it.
const pairingHolds = time.Hour

// getToken gives out a service's token. Source: Apple, "Get Token".
func (d *Door) getToken(r *request) (answer, error) {
	if _, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) { return nil, withholds(dev) }); err != nil {
		return answer{}, err
	}
	switch r.message.String("TokenServiceType") {
	case device.ServiceMAID:
		if d.Voucher != nil {
			return d.vouch(r)
		}
	case device.ServiceWatchPairing:
		return d.pair(r)
	}
	if _, err := d.update(r, func(device.Device, time.Time) ([]domain.Event, error) { return nil, nil }); err != nil {
		return answer{}, err
	}
	return answer{}, &malformed{class: "unknown-message", text: "no tokens of this service are given out here"}
}

func (d *Door) vouch(r *request) (answer, error) {
	id := eventstore.NewUUID().String()
	token, err := d.Voucher.token(id, r.now)
	if err != nil {
		return answer{}, fmt.Errorf("sign a token for a Managed Apple Account: %w", err)
	}
	_, err = d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return dev.IssueToken(r.sender.channel, device.ServiceMAID, id)
	})
	if err != nil {
		return answer{}, err
	}
	return inXML(map[string]any{"TokenData": []byte(token)})
}

// token returns a signed JSON Web Token. Source: RFC 7519 and RFC 7518, RS256.
func (v *Voucher) token(id string, now time.Time) (string, error) {
	head := mustJSON(map[string]any{"alg": "RS256", "typ": "JWT"})
	claims := mustJSON(map[string]any{"iss": v.Server, "iat": now.Unix(), "jti": id, "service_type": device.ServiceMAID})
	signed := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, v.Key, crypto.SHA256, sum[:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// pair gives an iPhone what its watch must show to enrol: the phone's pseudonym, by which its stream is found, and
// a secret of which only the hash is kept.
func (d *Door) pair(r *request) (answer, error) {
	if err := r.ownChannel(); err != nil {
		return answer{}, err
	}
	var parameters struct{ PhoneUDID, WatchUDID, SecurityToken string }
	if json.Unmarshal(r.message.JSON("TokenParameters"), &parameters) != nil {
		return answer{}, &malformed{text: "a pairing needs TokenParameters"}
	}
	if parameters.PhoneUDID != r.sender.identity.UDID || parameters.PhoneUDID == "" {
		return answer{}, &malformed{text: "the PhoneUDID is not that of the device that asks"}
	}
	token := r.sender.device + "." + base64.RawURLEncoding.EncodeToString(random(32))
	pairing := device.Pairing{Hash: hashOf(token), WatchUDID: parameters.WatchUDID, Expires: r.now.Add(pairingHolds).UTC()}
	if parameters.SecurityToken != "" {
		pairing.SecurityToken = hashOf(parameters.SecurityToken)
	}
	_, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) { return dev.IssuePairing(pairing) })
	if err != nil {
		return answer{}, err
	}
	return inXML(map[string]any{"TokenData": []byte(token)})
}

// ReturnToService says how devices come back by themselves after they have erased themselves. Source: Apple,
// "Return To Service".
type ReturnToService struct {
	Enabled          bool
	WiFi             []byte // a profile with a Wi-Fi payload; none if the device has another way to the network
	Enrolment        []byte // the enrolment profile, if Automated Device Enrolment would ask a person
	PreserveDataPlan bool
}

// returnToService tells a device how it comes back, with its own bootstrap token so that it keeps its apps.
func (d *Door) returnToService(r *request) (answer, error) {
	if err := r.ownChannel(); err != nil {
		return answer{}, err
	}
	done, err := d.update(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return dev.ReturnToService(d.ReturnToService.Enabled)
	})
	if err != nil {
		return answer{}, err
	}
	how := map[string]any{"Enabled": d.ReturnToService.Enabled}
	reply := map[string]any{"ReturnToService": how}
	if !d.ReturnToService.Enabled {
		return inXML(reply)
	}
	for key, data := range map[string][]byte{
		"WiFiProfileData": d.ReturnToService.WiFi, "MDMProfileData": d.ReturnToService.Enrolment,
		"BootstrapToken": done.State.BootstrapToken,
	} {
		if len(data) > 0 {
			how[key] = data
		}
	}
	if d.ReturnToService.PreserveDataPlan {
		reply["PreserveDataPlan"] = true
	}
	return inXML(reply)
}

func inXML(v any) (answer, error) {
	body, err := plist.Marshal(v)
	return answer{status: http.StatusOK, contentType: xmlType, body: body}, err
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of a constant: a slip of ours
	}
	return text
}

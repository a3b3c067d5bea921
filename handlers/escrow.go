package handlers

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/escrow"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
)

// Escrow is the use case of FileVault recovery keys: the key pair that Macs encrypt them for, and opening and changing
// them.
type Escrow struct {
	Pairs *eventstore.Repository[escrow.Escrow, domain.Event]
	Now   func() time.Time
}

// escrowYears is how long a certificate for Macs is good. None of them looks.
const escrowYears = 20

// Make makes a key pair, for administrators. The older ones are kept.
func (e *Escrow) Make(ctx context.Context, c Caller, reason string) (escrow.Pair, error) {
	if err := c.Administer(); err != nil {
		return escrow.Pair{}, err
	}
	made, err := newPair(e.Now().UTC())
	if err != nil {
		return escrow.Pair{}, err
	}
	made.Reason = reason
	change, err := e.Pairs.Update(ctx, escrow.ID, Meta(ctx, c), func(x escrow.Escrow, _ time.Time) ([]domain.Event, error) { return x.Make(made) })
	if err != nil {
		return escrow.Pair{}, err
	}
	pair, _ := change.State.Newest()
	return pair, nil
}

// Newest returns the pair whose certificate Macs are given, if there is one.
func (e *Escrow) Newest(ctx context.Context) (pair escrow.Pair, made bool, err error) {
	x, _, err := e.Pairs.Load(ctx, escrow.ID)
	if err != nil {
		return escrow.Pair{}, false, fmt.Errorf("read the escrow: %w", err)
	}
	pair, made = x.Newest()
	return pair, made, nil
}

func newPair(now time.Time) (escrow.PairMade, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return escrow.PairMade{}, fmt.Errorf("make an escrow key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return escrow.PairMade{}, fmt.Errorf("make an escrow certificate: %w", err)
	}
	about := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: "Rollcall FileVault escrow"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(escrowYears, 0, 0), KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDataEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		return escrow.PairMade{}, fmt.Errorf("make an escrow certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	sum := sha256.Sum256(der)
	return escrow.PairMade{Fingerprint: hex.EncodeToString(sum[:]), NotAfter: about.NotAfter.Truncate(time.Second), Certificate: der, Key: secret}, err
}

// open returns the recovery key in a message of a Mac's. cms.ErrNotOurs: it is encrypted for somebody else.
func (e *Escrow) open(ctx context.Context, message []byte) (string, error) {
	x, _, err := e.Pairs.Load(ctx, escrow.ID)
	if err != nil {
		return "", fmt.Errorf("read the escrow: %w", err)
	}
	var recipients []cms.Recipient
	for _, p := range x.Pairs {
		certificate, err := x509.ParseCertificate(p.Certificate)
		if err != nil {
			return "", fmt.Errorf("read an escrow certificate: %w", err)
		}
		key, err := x509.ParsePKCS8PrivateKey(p.Key)
		if err != nil {
			return "", errors.New("an escrow key cannot be read")
		}
		recipients = append(recipients, cms.Recipient{Certificate: certificate, Key: key})
	}
	content, err := cms.Open(message, recipients...)
	if err != nil {
		return "", err
	}
	content = bytes.TrimRight(content, "\x00")
	if len(content) == 0 || len(content) > 256 || !utf8.Valid(content) || bytes.ContainsFunc(content, unicode.IsControl) {
		return "", errors.New("what the message holds is no recovery key")
	}
	return string(content), nil
}

// opened returns what somebody is shown of a recovery key that came as text, in base64: the key, or the message as it came
// where it is encrypted for somebody else, or cannot be read.
func (e *Escrow) opened(ctx context.Context, text string) (string, error) {
	message, err := base64.StdEncoding.DecodeString(text)
	if err != nil || e == nil {
		return text, nil
	}
	if _, _, err := e.Pairs.Load(ctx, escrow.ID); err != nil {
		return "", fmt.Errorf("read the escrow: %w", err)
	}
	key, err := e.open(ctx, message)
	if err != nil {
		return text, nil // whoever has that certificate's key can open it
	}
	return key, nil
}

// RotateRecoveryKey orders that a Mac makes itself a new FileVault recovery key, which is unlocked with the one that is
// known.
func (s *Secrets) RotateRecoveryKey(ctx context.Context, c Caller, deviceID, reason string) (uuid string, at eventstore.Position, err error) {
	if err := c.Change(); err != nil {
		return "", 0, err
	}
	pair, made, err := s.Escrow.Newest(ctx)
	if err != nil {
		return "", 0, err
	}
	if !made {
		return "", 0, domain.WithHint(domain.Refusef(domain.Conflict, "the server has no key pair yet that the Mac could encrypt its new recovery key for"), "makeFileVaultEscrow makes one")
	}
	known, err := s.knownRecoveryKey(ctx, deviceID)
	if err != nil {
		return "", 0, err
	}
	o, err := TypedOrder("RotateFileVaultKey", map[string]any{
		"KeyType": "personal", "FileVaultUnlock": map[string]any{"Password": known},
		"ReplyEncryptionCertificate": base64.StdEncoding.EncodeToString(pair.Certificate),
	}, "")
	if err != nil {
		return "", 0, err
	}
	o.Reason, o.SupersedeKey = reason, "rotate RotateFileVaultKey"
	change, err := s.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, now time.Time) ([]domain.Event, error) {
		return d.Order("", o, false, now)
	})
	return o.UUID, change.Position, advised(err)
}

// knownRecoveryKey returns the recovery key that a Mac gave last.
func (s *Secrets) knownRecoveryKey(ctx context.Context, deviceID string) (string, error) {
	at, err := s.where(ctx, Wanted{Device: deviceID, Kind: device.FileVaultRecoveryKey})
	if err != nil {
		return "", domain.WithHint(err, "the Mac gives it in its answer to SecurityInfo, once a profile with FDERecoveryKeyEscrow is on it: fileVaultEscrow has one")
	}
	text, _, err := s.open(ctx, at)
	if err != nil {
		return "", err
	}
	message, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		text, err = s.Escrow.open(ctx, message)
	}
	if err != nil {
		return "", domain.WithHint(domain.Refusef(domain.Conflict, "the Mac's recovery key is encrypted for another certificate than this server's, or cannot be read"),
			"give the Mac the profile of fileVaultEscrow, and have the key changed by rotateFileVaultKey with a password of a user")
	}
	return text, nil
}

// EscrowProfile returns a profile that has a Mac encrypt its recovery key for the pair. location tells its user where
// the key is kept.
func EscrowProfile(p escrow.Pair, location string) (string, error) {
	var b bytes.Buffer
	id := func(n int) string {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", p.Fingerprint, n))
		return fmt.Sprintf("%X-%X-%X-%X-%X", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	}
	err := escrowProfile.Execute(&b, map[string]string{
		"Certificate": base64.StdEncoding.EncodeToString(p.Certificate), "Location": location, "Profile": id(0), "Escrow": id(1), "Certified": id(2),
	})
	return b.String(), err
}

var escrowProfile = template.Must(template.New("").Parse(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadType</key><string>Configuration</string>
<key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>rollcall.filevault-escrow</string>
<key>PayloadUUID</key><string>{{.Profile}}</string>
<key>PayloadDisplayName</key><string>FileVault recovery key</string>
<key>PayloadScope</key><string>System</string>
<key>PayloadContent</key><array>
<dict>
<key>PayloadType</key><string>com.apple.security.FDERecoveryKeyEscrow</string>
<key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>rollcall.filevault-escrow.key</string>
<key>PayloadUUID</key><string>{{.Escrow}}</string>
<key>Location</key><string>{{html .Location}}</string>
<key>EncryptCertPayloadUUID</key><string>{{.Certified}}</string>
</dict>
<dict>
<key>PayloadType</key><string>com.apple.security.pkcs1</string>
<key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>rollcall.filevault-escrow.certificate</string>
<key>PayloadUUID</key><string>{{.Certified}}</string>
<key>PayloadContent</key><data>{{.Certificate}}</data>
</dict>
</array>
</dict></plist>
`))

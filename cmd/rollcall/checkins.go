package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/rollcall-mdm/rollcall/handlers/mdm"
)

// checkIns are the settings of check-in messages that have more than one good answer.
type checkIns struct {
	NetworkUsers     string `name:"network-users" enum:"decline,manage,digest" default:"decline" help:"Users of Macs with an account of the network: decline (410), manage (without a password), or digest (each proves his password, see --network-user-digests)."`
	UserDigests      string `name:"network-user-digests" type:"existingfile" placeholder:"FILE" help:"Their passwords' digests, as htdigest writes them. Read anew at each login."`
	MAIDServer       string `name:"maid-server" placeholder:"UUID" help:"This server's UUID in Apple Business or School Manager, to vouch for Managed Apple Accounts."`
	MAIDKey          string `name:"maid-key" type:"existingfile" placeholder:"FILE" help:"The RSA key whose certificate was uploaded there, PEM."`
	Returns          bool   `name:"return-to-service" help:"Devices that ask may erase themselves and come back by themselves."`
	ReturnsWiFi      string `name:"return-to-service-wifi" type:"existingfile" placeholder:"FILE" help:"A profile with the Wi-Fi on which they come back."`
	ReturnsEnrolment string `name:"return-to-service-enrolment" type:"existingfile" placeholder:"FILE" help:"The enrolment profile with which they come back, if Automated Device Enrolment would ask a person."`
	ReturnsDataPlan  bool   `name:"return-to-service-data-plan" help:"They keep their data plan."`
}

// check refuses settings that cannot work.
func (c *checkIns) check() error {
	switch {
	case (c.NetworkUsers == "digest") != (c.UserDigests != ""):
		return errors.New("--network-users digest and --network-user-digests go together")
	case (c.MAIDServer == "") != (c.MAIDKey == ""):
		return errors.New("--maid-server and --maid-key go together")
	case !c.Returns && (c.ReturnsWiFi != "" || c.ReturnsEnrolment != "" || c.ReturnsDataPlan):
		return errors.New("say --return-to-service too: without it the other --return-to-service settings do nothing")
	}
	return c.furnish(&mdm.Door{})
}

// furnish gives a door what the settings say.
func (c *checkIns) furnish(door *mdm.Door) (err error) {
	door.NetworkUsers.Manage = c.NetworkUsers == "manage"
	if c.NetworkUsers == "digest" {
		door.NetworkUsers.Digests = c.digests
		if _, err := c.digests(); err != nil {
			return err
		}
	}
	if c.MAIDServer != "" {
		key, err := rsaKey(c.MAIDKey)
		if err != nil {
			return fmt.Errorf("--maid-key: %w", err)
		}
		door.Voucher = &mdm.Voucher{Server: c.MAIDServer, Key: key}
	}
	r := &door.ReturnToService
	r.Enabled, r.PreserveDataPlan = c.Returns, c.ReturnsDataPlan
	for file, to := range map[string]*[]byte{c.ReturnsWiFi: &r.WiFi, c.ReturnsEnrolment: &r.Enrolment} {
		if file == "" {
			continue
		}
		if *to, err = os.ReadFile(file); err != nil {
			return fmt.Errorf("read a --return-to-service profile: %w", err)
		}
	}
	return nil
}

func (c *checkIns) digests() (*mdm.Digests, error) {
	text, err := os.ReadFile(c.UserDigests)
	if err != nil {
		return nil, fmt.Errorf("read --network-user-digests: %w", err)
	}
	digests, err := mdm.ReadDigests(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("--network-user-digests %s: %w", c.UserDigests, err)
	}
	return digests, nil
}

// rsaKey reads an RSA key in PEM form.
func rsaKey(file string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM form", file)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if own, is := key.(*rsa.PrivateKey); is {
			return own, nil
		}
	}
	return nil, fmt.Errorf("%s holds no RSA key that is not encrypted", file)
}

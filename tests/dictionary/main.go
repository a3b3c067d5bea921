// Command dictionary trains a dictionary for eventstore/seal on the parts of events as a fleet of make-believe devices
// makes them, or, for evidence, on the messages that the devices send.
//
//	go run ./tests/dictionary -id 1 -of parts    -out eventstore/seal/dictionaries/1.zdict
//	go run ./tests/dictionary -id 2 -of messages -out eventstore/seal/dictionaries/2.zdict
//
// What a value says is scrambled first: the dictionary learns how Apple's messages are built, and knows no app, name or
// number by which a real fleet, or a bench, would be helped. A dictionary that was ever used stays for ever, because
// what was packed with it opens with no other: train another one under the next id.
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers/mdm"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

const (
	size    = 16 << 10
	devices = 24
)

func main() {
	id := flag.Uint("id", 0, "the dictionary's number, which was never used before")
	of := flag.String("of", "", "what it is for: parts or messages")
	out := flag.String("out", "", "the file to write")
	flag.Parse()
	if err := run(context.Background(), uint32(*id), *of, *out); err != nil {
		fmt.Fprintln(os.Stderr, "dictionary:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, id uint32, of, out string) (err error) {
	if id == 0 || id > 255 || of != "parts" && of != "messages" || out == "" {
		return errors.New("say which dictionary is made, of what, and where it goes: -id 1 to 255 -of parts -out FILE")
	}
	dir, err := os.MkdirTemp("", "rollcall-dictionary-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	samples, err := collect(ctx, filepath.Join(dir, "log.db"))
	if err != nil {
		return err
	}
	if of == "messages" {
		samples = sent.bodies
	}
	apples := vocabulary(samples)
	trained, err := zstd.BuildDict(zstd.BuildDictOptions{
		ID: id, Contents: scramble(samples, apples), History: history(samples, apples), Offsets: [3]int{1, 4, 8}, Level: zstd.SpeedFastest,
	})
	if err != nil {
		return fmt.Errorf("train on %d samples: %w", len(samples), err)
	}
	return os.WriteFile(out, trained, 0o644) //nolint:gosec // it goes into the program, for everybody to read
}

// collect lets a fleet of all platforms live at the devices' door, and returns every part of every event in the clear.
func collect(ctx context.Context, file string) ([][]byte, error) {
	log, err := embedded.Open(ctx, file, embedded.Options{})
	if err != nil {
		return nil, err
	}
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	ca, err := mdmtest.NewCA("Device CA")
	if err == nil {
		err = live(ctx, door(log, codec, ca), ca)
	}
	var samples [][]byte
	if err == nil {
		samples, err = parts(ctx, log, codec)
	}
	return samples, errors.Join(err, log.Close())
}

func door(log eventstore.Log, codec *seal.Codec[domain.Event], ca *mdmtest.CA) *mdm.Door {
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	return &mdm.Door{
		Pseudonyms: seal.NewPseudonyms([32]byte{1}),
		Identity: &mdm.Identity{
			Methods: []string{"header:X-Cert"}, Authorities: roots,
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		},
		Devices: &eventstore.Repository[device.Device, domain.Event]{
			Log: log, Codec: codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size,
		},
		Certificates: &eventstore.Repository[certificate.Certificate, domain.Event]{
			Log: log, Codec: codec, Kind: certificate.Kind, Fold: certificate.Certificate.Evolve,
		},
		Strangers: &eventstore.Repository[mdm.Nobody, domain.Event]{
			Log: log, Codec: codec, Kind: stranger.Kind,
			Fold: func(n mdm.Nobody, e domain.Event, at time.Time) mdm.Nobody { return n.Evolve(e, at) },
		},
	}
}

// live enrols the devices, and has each carry out every question.
func live(ctx context.Context, d *mdm.Door, ca *mdmtest.CA) error {
	web := echo.New()
	d.Mount(web.Group("/mdm"))
	fleet, err := mdmtest.Fleet{
		Size: devices, Seed: 5, Users: true, Server: mdmtest.ServerAt("http://mdm.example.com"), CA: ca,
		Proof: mdmtest.Proof{Way: mdmtest.ByHeader, Header: "X-Cert"}, Habits: mdmtest.Habits{NotNow: 0.05, Error: 0.05},
		Wire: recorder{mdmtest.Roundabout{RoundTripper: mdmtest.Local{Handler: web}}},
	}.Make()
	if err != nil {
		return fmt.Errorf("make a fleet: %w", err)
	}
	for _, one := range fleet {
		if err := carryOut(ctx, d, one); err != nil {
			return err
		}
	}
	return nil
}

func carryOut(ctx context.Context, d *mdm.Door, one *mdmtest.Device) error {
	if err := one.Enrol(ctx); err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	for _, q := range questions {
		uuid := mdmtest.NewUUID()
		o := device.Order{UUID: uuid, RequestType: q.RequestType, Body: mdmtest.RawCommand(q, uuid)}
		if _, err := d.Devices.Update(ctx, d.Pseudonyms.Device(one.ID()), eventstore.Meta{},
			func(dev device.Device, at time.Time) ([]domain.Event, error) { return dev.Order("", o, true, at) }); err != nil {
			return fmt.Errorf("order %s: %w", q.RequestType, err)
		}
	}
	for range 10 {
		if _, err := one.Session(ctx); err != nil {
			return fmt.Errorf("carry out commands: %w", err)
		}
	}
	return nil
}

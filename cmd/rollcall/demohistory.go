package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// orderers are the two ways in which one person orders: waking the device, or not.
type orderers struct {
	url, token   string
	quiet, awake *mdmtest.Orderer
}

func newOrderers(url, token string) orderers {
	order := func(push bool) *mdmtest.Orderer {
		return &mdmtest.Orderer{URL: url, Token: token, GraphQL: true, Wire: &mdmtest.Direct{}, Push: push}
	}
	return orderers{url, token, order(false), order(true)}
}

// pushCertificate gives the server a push certificate and its key.
func (o orderers) pushCertificate(ctx context.Context, pem []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, o.url+"/v1/pushcert", bytes.NewReader(pem))
	if err != nil {
		return err
	}
	req.SetBasicAuth("demo", o.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("give the server its push certificate: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server did not take the push certificate: %s", resp.Status)
	}
	return nil
}

// playHistory lets the days pass, up to today.
func (d *demo) playHistory(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(d.Seed, 7))
	for day := range d.Days {
		fmt.Fprintf(os.Stderr, "\rplaying day %d of %d: %s ", day+1, d.Days, d.clock.Now().Format("2006-01-02"))
		for i, one := range d.devices {
			if err := d.playDay(ctx, rng, one, i, day); err != nil {
				return fmt.Errorf("day %d, %s: %w", day+1, one.Name, err)
			}
		}
		d.clock.forward(d.restOfDay())
	}
	fmt.Fprintln(os.Stderr)
	return nil
}

// restOfDay returns what is left until the next morning at nine.
func (d *demo) restOfDay() time.Duration {
	now := d.clock.Now()
	return now.Truncate(24 * time.Hour).Add(33 * time.Hour).Sub(now)
}

// playDay is one day of the i-th device: the fleet arrives little by little, two devices leave, the others live, are
// asked for their inventory every other day, and now and then get an order.
func (d *demo) playDay(ctx context.Context, rng *rand.Rand, one *mdmtest.Device, i, day int) error {
	arrives, leaves := i*d.Days*4/5/d.Devices, d.Days*3/4
	if day < arrives {
		return nil
	}
	d.clock.forward(time.Duration(rng.IntN(300)) * time.Second)
	if !one.Enrolled() {
		if day > leaves && i%25 == 11 {
			return nil // it left
		}
		return one.Enrol(ctx)
	}
	one.Live(rng, 1)
	switch {
	case i%25 == 11 && day == leaves:
		return one.CheckOut(ctx)
	case (i+day)%2 == 0:
		if err := d.ask(ctx, one); err != nil {
			return err
		}
	}
	if err := d.orderSomething(ctx, rng, one); err != nil {
		return err
	}
	_, err := one.Session(ctx)
	return err
}

// ask orders the usual inventory.
func (d *demo) ask(ctx context.Context, one *mdmtest.Device) error {
	for _, q := range mdmtest.Inventory {
		if _, err := d.people["inventory"].quiet.Order(ctx, one.ChannelID(nil), q); err != nil {
			return err
		}
	}
	return nil
}

// orderSomething is what people do now and then.
func (d *demo) orderSomething(ctx context.Context, rng *rand.Rand, one *mdmtest.Device) error {
	who, q := "Grace", mdmtest.Question{RequestType: "ManagedApplicationList"}
	switch rng.IntN(60) {
	case 0:
		if one.Platform == mdmtest.TvOS {
			return nil // has no lock
		}
		who, q = "Ada", mdmtest.Question{RequestType: "DeviceLock", Keys: map[string]any{"Message": "Please bring me to the front desk."}}
	case 1:
	case 2:
		if !one.Supervised {
			return nil // would be refused
		}
		who, q = "Ada", mdmtest.Question{RequestType: "RestartDevice"}
	default:
		return nil
	}
	_, err := d.people[who].quiet.Order(ctx, one.ChannelID(nil), q)
	return err
}

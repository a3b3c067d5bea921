package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// replayed is how many events are read; replayDevices whose they are.
const (
	replayed      = 200_000
	replayDevices = 1_000
)

// replays reads a log of sealed events, and opens and decodes them.
func (s settings) replays(ctx context.Context, r *report) error {
	return s.scratch(func(dir string) (err error) {
		l, err := embedded.Open(ctx, filepath.Join(dir, "log.db"), embedded.Options{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
		if err := fill(ctx, l, codec); err != nil {
			return err
		}
		var reads, decodes []float64
		var before, spent time.Duration
		for range rounds {
			read, err := replay(ctx, l, func(eventstore.Envelope) error { return nil })
			if err != nil {
				return err
			}
			before = ownCPU()
			decode, err := replay(ctx, l, func(env eventstore.Envelope) error { _, err := codec.Decode(env); return err })
			spent += ownCPU() - before
			if err != nil {
				return err
			}
			reads, decodes = append(reads, read), append(decodes, decode)
		}
		r.add(row{Of: "log", What: "replay: read all", Figure: median(reads), Unit: "events/s"},
			row{Of: "log", What: "replay: read, open and decode all", Figure: median(decodes), Unit: "events/s",
				Note: fmt.Sprintf("%.1f µs of CPU each", spent.Seconds()*1e6/(rounds*replayed))})
		return nil
	})
}

// fill appends sealed events of many devices, two hundred of each.
func fill(ctx context.Context, l eventstore.Log, codec eventstore.Codec[domain.Event]) error {
	for d := range replayDevices {
		stream := eventstore.Stream{Kind: device.Kind, ID: fmt.Sprintf("%064d", d)}
		batch := make([]eventstore.Envelope, replayed/replayDevices)
		for i := range batch {
			env := eventstore.Envelope{
				ID: eventstore.NewUUID(), Stream: stream, Version: int64(i), Time: time.Now(),
				Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: stream.ID, Address: "192.0.2.1"},
			}
			var err error
			batch[i], err = codec.Encode(env, device.CommandAcknowledged{
				UUID: "6F1C7A0E-7C0B-4C52-9F0B-0F3B7C5C1E11", RequestType: "DeviceInformation",
				Result: []byte(`{"QueryResponses":{"OSVersion":"18.1","DeviceName":"Grace’s iPhone","BatteryLevel":0.5,"AvailableDeviceCapacity":12.25}}`),
			})
			if err != nil {
				return err
			}
		}
		if err := l.Append(ctx, stream, eventstore.NoStream, batch); err != nil {
			return err
		}
	}
	return nil
}

func replay(ctx context.Context, l eventstore.Log, each func(eventstore.Envelope) error) (rate float64, err error) {
	n, begin := 0, time.Now()
	for env, err := range l.ReadAll(ctx, 0) {
		if err == nil {
			err = each(env)
		}
		if err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

package seal_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// apps returns an application list of about n bytes, as a device would report it.
func apps(n int) json.RawMessage {
	var b strings.Builder
	b.WriteString(`{"InstalledApplicationList":[`)
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"Identifier":"com.example.app%d","Name":"App %d","ShortVersion":"%d.2.%d","BundleSize":%d}`, i*7919, i, i%9, i%5, i*104729)
	}
	b.WriteString(`]}`)
	return json.RawMessage(b.String())
}

var benched = []struct {
	name  string
	event domain.Event
	by    eventstore.Actor
}{
	{"delivered", device.CommandDelivered{UUID: "0B6E7C2A-77D4-4B44-9E36-6D1A2B3C4D5E", RequestType: "DeviceInformation", Attempt: 1, NewSession: true}, eventstore.Actor{Kind: eventstore.ByDevice}},
	{"delivered-with-address", device.CommandDelivered{UUID: "0B6E7C2A-77D4-4B44-9E36-6D1A2B3C4D5E", RequestType: "DeviceInformation", Attempt: 1, NewSession: true}, eventstore.Actor{Kind: eventstore.ByDevice, Address: "192.0.2.17"}},
	{"acknowledged-2k", device.CommandAcknowledged{UUID: "0B6E7C2A-77D4-4B44-9E36-6D1A2B3C4D5E", RequestType: "InstalledApplicationList", Result: apps(2000)}, eventstore.Actor{Kind: eventstore.ByDevice}},
	{"acknowledged-15k", device.CommandAcknowledged{UUID: "0B6E7C2A-77D4-4B44-9E36-6D1A2B3C4D5E", RequestType: "InstalledApplicationList", Result: apps(15000)}, eventstore.Actor{Kind: eventstore.ByDevice}},
	{"queued", device.CommandQueued{UUID: "0B6E7C2A-77D4-4B44-9E36-6D1A2B3C4D5E", RequestType: "DeviceInformation", Parameters: json.RawMessage(`{"Queries":["OSVersion","SerialNumber"]}`), Body: make([]byte, 500)}, eventstore.Actor{Kind: eventstore.ByToken, ID: "t1", Name: "Ada", Address: "192.0.2.1"}},
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range benched {
		b.Run(c.name, func(b *testing.B) {
			codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
			env := eventstore.Envelope{ID: eventstore.NewUUID(), Stream: eventstore.Stream{Kind: device.Kind, ID: strings.Repeat("k", 32)}, Time: time.Now(), Actor: c.by}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.Encode(env, c.event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benched {
		b.Run(c.name, func(b *testing.B) {
			codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
			env, err := codec.Encode(eventstore.Envelope{ID: eventstore.NewUUID(), Stream: eventstore.Stream{Kind: device.Kind, ID: strings.Repeat("k", 32)}, Time: time.Now(), Actor: c.by}, c.event)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.Decode(env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMake makes the keys of new subjects, 64 at once, each durable.
func BenchmarkMake(b *testing.B) {
	keys := openKeyring(b, b.TempDir())
	var n atomic.Int64
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := keys.Make(b.Context(), fmt.Sprint("device-", n.Add(1))); err != nil {
				b.Error(err)
			}
		}
	})
}

package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"sync"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// questions are what the devices are asked: the daily inventory, and one of each sort of order.
var questions = append([]mdmtest.Question{
	{RequestType: "ManagedApplicationList"}, {RequestType: "ProvisioningProfileList"}, {RequestType: "Restrictions"},
	{RequestType: "UserList"}, {RequestType: "AvailableOSUpdates"}, {RequestType: "RestartDevice"},
	{RequestType: "DeviceLock", Keys: map[string]any{"Message": "m", "PIN": "000000"}},
	{RequestType: "InstallProfile", Keys: map[string]any{"Payload": []byte("<plist/>")}},
	{RequestType: "RemoveProfile", Keys: map[string]any{"Identifier": "i"}},
	{RequestType: "InstallApplication", Keys: map[string]any{"iTunesStoreID": 1, "ManagementFlags": 1, "Options": map[string]any{"PurchaseMethod": 1}}},
	{RequestType: "Settings", Keys: map[string]any{"Settings": []any{map[string]any{"Item": "DeviceName", "DeviceName": "n"}}}},
}, mdmtest.Inventory...)

// sent are the messages of the devices, byte by byte.
var sent struct {
	sync.Mutex
	bodies [][]byte
}

// A recorder keeps every message that it carries.
type recorder struct{ mdmtest.Wire }

func (r recorder) Send(ctx context.Context, m mdmtest.Request) (mdmtest.Answer, error) {
	sent.Lock()
	sent.bodies = append(sent.bodies, bytes.Clone(m.Body))
	sent.Unlock()
	return r.Wire.Send(ctx, m)
}

// parts returns what is sealed in the log.
func parts(ctx context.Context, log eventstore.Log, codec *seal.Codec[domain.Event]) (samples [][]byte, err error) {
	for env, err := range log.ReadAll(ctx, 0) {
		if err != nil {
			return nil, err
		}
		for _, part := range []seal.Part{seal.Personal, seal.Secret} {
			key, err := codec.PartKey(env, part)
			if errors.Is(err, seal.ErrAbsent) {
				continue
			}
			if err != nil {
				return nil, err
			}
			plain, err := seal.OpenWith(key, env, part)
			if err != nil {
				return nil, err
			}
			samples = append(samples, plain)
		}
	}
	return samples, nil
}

// Names and values, in JSON and in property lists.
var (
	names  = regexp.MustCompile(`"([A-Za-z]\w+)":|<key>([A-Za-z]\w+)</key>`)
	values = regexp.MustCompile(`"[^"\\]*"[\],}]|\d{2,}|<(?:string|integer|data|real|date)>[^<]+</`)
	words  = regexp.MustCompile(`[\w+/-]+`)
)

// scramble makes noise of what values say. Words that are also names of keys stay, for they are Apple's.
func scramble(samples [][]byte, apples map[string]bool) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same noise each time
	noisy := make([][]byte, len(samples))
	for i, s := range samples {
		noisy[i] = values.ReplaceAllFunc(s, func(v []byte) []byte {
			return words.ReplaceAllFunc(v, func(w []byte) []byte {
				if apples[string(w)] || apples[string(bytes.TrimPrefix(w, []byte("/")))] {
					return w
				}
				return noise(rng, w)
			})
		})
	}
	return noisy
}

// vocabulary returns the words that are Apple's: the names of keys, of messages and of the parts of a property list.
func vocabulary(samples [][]byte) map[string]bool {
	apples := map[string]bool{"string": true, "integer": true, "data": true, "real": true, "date": true, "": true}
	for _, q := range questions {
		apples[q.RequestType] = true
	}
	for _, w := range []string{"Idle", "Acknowledged", "Error", "NotNow", "CommandFormatError", "Authenticate", "TokenUpdate"} {
		apples[w] = true
	}
	for _, s := range samples {
		for _, m := range names.FindAllSubmatch(s, -1) {
			apples[string(m[1])], apples[string(m[2])] = true, true
		}
	}
	return apples
}

// noise replaces letters by letters and digits by digits.
func noise(rng *rand.Rand, w []byte) []byte {
	n := bytes.Clone(w)
	for i, c := range n {
		switch {
		case c >= '0' && c <= '9':
			n[i] = '0' + byte(rng.IntN(10))
		case c >= 'a' && c <= 'z':
			n[i] = 'a' + byte(rng.IntN(26))
		case c >= 'A' && c <= 'Z':
			n[i] = 'A' + byte(rng.IntN(26))
		}
	}
	return n
}

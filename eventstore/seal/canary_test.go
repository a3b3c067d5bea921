package seal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// canaries are words that must not be found anywhere in the clear. Each is found if any of its forms is.
type canaries struct{ n int }

const canary = "CANARY"

// next returns a new canary, long enough to be compressed if it stands in a personal part.
func (c *canaries) next() string {
	c.n++
	return fmt.Sprintf("%s-%04d-%s", canary, c.n, bytes.Repeat([]byte("tweet"), 80))
}

// forms lists what a canary can look like: as text, and as base64 at each of its three places.
func forms() [][]byte {
	return [][]byte{[]byte(canary), []byte("Q0FOQVJZ"), []byte("NBTkFSW"), []byte("DQU5BUl")}
}

// plant puts a canary into every place within v that can hold one.
func (c *canaries) plant(t *testing.T, v reflect.Value) {
	switch {
	case v.Type() == rawMessage:
		v.SetBytes(must[[]byte](t)(json.Marshal(map[string]string{c.next(): c.next()})))
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			c.plant(t, v.Field(i))
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		c.plant(t, v.Elem())
	case v.Kind() == reflect.String:
		v.SetString(c.next())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes([]byte(c.next()))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		c.plant(t, v.Elem())
	case v.Kind() == reflect.Map:
		one := reflect.New(v.Type().Elem()).Elem()
		c.plant(t, one)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(c.next()), one)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		c.plant(t, v.Index(0))
	case v.Kind() == reflect.Bool, v.CanInt():
		// no canary fits in there
	default:
		t.Fatalf("a sealed field is a %s: teach the test to plant a canary there", v.Type())
	}
}

// planted returns an event of zero's type with canaries in every sealed field, and how many fields that were.
func (c *canaries) planted(t *testing.T, zero domain.Event) (domain.Event, int) {
	v, fields := reflect.New(reflect.TypeOf(zero)).Elem(), 0
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("seal") != "" {
			c.plant(t, v.Field(i))
			fields++
		}
	}
	return v.Interface().(domain.Event), fields
}

func TestNoCanarySingsInTheClear(t *testing.T) {
	dir := t.TempDir()
	keys := must[*seal.FileKeyring](t)(seal.OpenKeyring(filepath.Join(dir, "keys.db"), masterKey(t, dir), 0))
	codec, birds, sealedFields := newCodec(keys), new(canaries), 0
	for _, zero := range catalog.Events() {
		event, fields := birds.planted(t, zero)
		sealedFields += fields
		given := envelope()
		given.Evidence, given.Actor.Address = []byte(birds.next()), birds.next()
		env := must[eventstore.Envelope](t)(codec.Encode(given, event))
		silent(t, zero.EventType(), must[[]byte](t)(json.Marshal(env)), env.Data, env.Personal, env.Secret, env.Evidence)
		if got := must[domain.Event](t)(codec.Decode(env)); !reflect.DeepEqual(got, event) {
			t.Errorf("%s came back as %+v", zero.EventType(), got)
		}
		blob := must[[]byte](t)(seal.Blobs{Keys: keys}.SealBlob(env.Stream, fmt.Appendf(nil, "%v", event)))
		silent(t, "a blob", blob)
	}
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range must[[]string](t)(filepath.Glob(filepath.Join(dir, "*"))) {
		silent(t, path, must[[]byte](t)(os.ReadFile(path)))
	}
	if sealedFields < 20 {
		t.Errorf("only %d fields were sealed: has the test gone blind?", sealedFields)
	}
}

func silent(t *testing.T, where string, stored ...[]byte) {
	t.Helper()
	for _, b := range stored {
		for _, form := range forms() {
			if bytes.Contains(b, form) {
				t.Errorf("%s: a canary sings in %.200q", where, b)
			}
		}
	}
}

func TestTheCanaryTestHears(t *testing.T) {
	bird := new(canaries).next()
	for i := range 3 {
		text := must[[]byte](t)(json.Marshal([]byte("xyz"[:i] + bird)))
		heard := false
		for _, form := range forms() {
			heard = heard || bytes.Contains(text, form)
		}
		if !heard {
			t.Errorf("a canary behind %d bytes is not heard in %.40s", i, text)
		}
	}
}

package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Codec turns events of one family into envelopes and back, and seals and opens their parts. It implements
// eventstore.Codec. Whoever must not see secrets is given its Views instead.
//
// An event that has a method SealSubject() string is sealed for that subject within its stream; the method may look
// at open fields only. All others are sealed for their stream. Where a type gets such a method when some of its events
// are stored already, it is called SealSubjectLater.
type Codec[E interface{ EventType() string }] struct {
	Types []E     // each type of event, by its zero value
	Keys  Keyring // where the data keys are

	// Notice is shown every event that is to be opened, before it is; nobody is if nil. An error is Decode's.
	Notice func(env eventstore.Envelope) error

	Upcasts map[string][]Upcast // from the forms that events once had, by stored name, the oldest first

	once    sync.Once
	err     error
	byName  map[string]*plan
	byType  map[reflect.Type]*plan
	writers sync.Pool
}

// Encode writes the event into env: its stored name, its open part, and its sealed ones together with the actor's
// address and the evidence, both of which env holds in the clear until then. Parts without content are absent, but
// Data is at least an empty object. ErrDestroyed: the subject's keys are gone, and nothing can be sealed for it.
func (c *Codec[E]) Encode(env eventstore.Envelope, event E) (eventstore.Envelope, error) {
	p, err := c.planOf(reflect.TypeOf(event))
	if err != nil {
		return eventstore.Envelope{}, err
	}
	w := c.writers.Get().(*writer)
	defer c.writers.Put(w)
	defer w.forget()
	v := reflect.New(p.event)
	v.Elem().Set(reflect.ValueOf(event))
	env.Type = p.name
	data, err := w.write(p.open, v)
	if err != nil {
		return eventstore.Envelope{}, fmt.Errorf("encode %s: %w", p.name, err)
	}
	env.Data = append(json.RawMessage(nil), data...)
	if len(data) == 0 {
		env.Data = json.RawMessage("{}")
	}
	if err := c.seal(&env, p, v, w); err != nil {
		return eventstore.Envelope{}, fmt.Errorf("seal %s: %w", p.name, err)
	}
	return env, nil
}

// seal fills env's sealed parts from the event that v points to.
func (c *Codec[E]) seal(env *eventstore.Envelope, p *plan, v reflect.Value, w *writer) error {
	personal := !p.personal.empty(v) || env.Actor.Address != ""
	secret := !p.secret.empty(v)
	evidence := env.Evidence
	env.Personal, env.Secret, env.Evidence = nil, nil, nil
	if !personal && !secret && len(evidence) == 0 {
		return nil
	}
	keys, err := c.Keys.Make(context.Background(), c.subject(*env, v))
	if err != nil {
		return err
	}
	if personal {
		if env.Personal, err = sealPersonal(keys, *env, p, v, w); err != nil {
			return err
		}
	}
	env.Actor.Address = ""
	if secret {
		if env.Secret, err = sealSecret(keys, *env, p, v, w); err != nil {
			return err
		}
	}
	if len(evidence) > 0 {
		env.Evidence, err = sealPart(&keys.secret, *env, Evidence, evidence)
	}
	return err
}

func sealPersonal(keys DataKeys, env eventstore.Envelope, p *plan, v reflect.Value, w *writer) ([]byte, error) {
	var plain []byte
	var err error
	if !p.personal.empty(v) {
		if plain, err = w.write(p.personal, v); err != nil {
			return nil, err
		}
	}
	if env.Actor.Address != "" {
		if plain, err = withAddress(plain, env.Actor.Address); err != nil {
			return nil, err
		}
	}
	if len(plain) == 0 {
		return nil, nil
	}
	return sealPart(&keys.personal, env, Personal, plain)
}

func sealSecret(keys DataKeys, env eventstore.Envelope, p *plan, v reflect.Value, w *writer) ([]byte, error) {
	plain, err := w.write(p.secret, v)
	if err != nil || len(plain) == 0 {
		return nil, err
	}
	return sealPart(&keys.secret, env, Secret, plain)
}

// An addressed is what the personal part of every event may hold beside the event's own fields.
type addressed struct {
	Address string `json:"@actor"`
}

// withAddress returns the JSON object with the actor's address in it.
func withAddress(object []byte, address string) ([]byte, error) {
	head, err := json.Marshal(addressed{address})
	if err != nil || len(object) == 0 {
		return head, err
	}
	return append(append(head[:len(head)-1], ','), object[1:]...), nil
}

// subject names the keys that seal the event that v points to.
func (c *Codec[E]) subject(env eventstore.Envelope, v reflect.Value) string {
	return subjectIn(env.Stream, v).keysAt(erasures{c.Keys}, env.Version)
}

// A sealedLater is an event that is sealed for a user, and whose type was sealed for the stream before.
type sealedLater interface{ SealSubjectLater() string }

// keysOf returns the data keys that open the event that v points to. The stream's are tried too if the event may have
// been sealed for it.
func (c *Codec[E]) keysOf(env eventstore.Envelope, v reflect.Value) (DataKeys, error) {
	subject := subjectIn(env.Stream, v)
	keys, err := c.Keys.Keys(context.Background(), subject.keysAt(erasures{c.Keys}, env.Version))
	if _, later := v.Interface().(sealedLater); !later || subject.Within == "" || err != nil && !errors.Is(err, ErrNoKeys) || err == nil && fits(keys, env) {
		return keys, err
	}
	whole, wholeErr := c.Keys.Keys(context.Background(), Of(env.Stream).keysAt(erasures{c.Keys}, env.Version))
	if wholeErr == nil && fits(whole, env) {
		return whole, nil
	}
	return keys, err
}

// fits reports whether the keys open some part of the event.
func fits(keys DataKeys, env eventstore.Envelope) bool {
	for part, data := range map[Part]*[keySize]byte{Personal: &keys.personal, Secret: &keys.secret, Evidence: &keys.secret} {
		if _, err := openPart(data, env, part); err == nil {
			return true
		}
	}
	return false
}

func subjectIn(stream eventstore.Stream, v reflect.Value) Subject {
	if s, ok := v.Interface().(interface{ SealSubject() string }); ok {
		return Subject{stream, s.SealSubject()}
	}
	if s, ok := v.Interface().(sealedLater); ok {
		return Subject{stream, s.SealSubjectLater()}
	}
	return Of(stream)
}

// Decode returns env's event with all that can be opened. Parts whose keys were destroyed are absent, which is no
// error. ErrBroken: a part was altered or moved. ErrNoKeys: the keyring does not know the subject.
func (c *Codec[E]) Decode(env eventstore.Envelope) (E, error) { return c.decode(env, true) }

func (c *Codec[E]) decode(env eventstore.Envelope, secrets bool) (event E, err error) {
	p, v, err := c.openPart(env)
	if err != nil {
		return event, err
	}
	if err := c.open(env, p, v, secrets); err != nil {
		return event, fmt.Errorf("open %s: %w", env.Type, err)
	}
	return v.Elem().Interface().(E), nil
}

// openPart returns env's plan, and a pointer to its event with the open part filled in.
func (c *Codec[E]) openPart(env eventstore.Envelope) (*plan, reflect.Value, error) {
	p, err := c.planFor(env.Type)
	if err != nil {
		return nil, reflect.Value{}, err
	}
	if c.Notice != nil {
		if err := c.Notice(env); err != nil {
			return nil, reflect.Value{}, err
		}
	}
	v := reflect.New(p.event)
	if err := p.open.read(env.Data, v); err != nil {
		return nil, reflect.Value{}, fmt.Errorf("decode %s: %w", env.Type, err)
	}
	return p, v, nil
}

// open fills the event that v points to with its sealed parts.
func (c *Codec[E]) open(env eventstore.Envelope, p *plan, v reflect.Value, secrets bool) error {
	secrets = secrets && len(env.Secret) > 0
	if len(env.Personal) == 0 && !secrets {
		return nil
	}
	keys, err := c.keysOf(env, v)
	if errors.Is(err, ErrDestroyed) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(env.Personal) > 0 {
		if err := fill(&keys.personal, env, Personal, p.personal, v); err != nil {
			return err
		}
	}
	if secrets {
		return fill(&keys.secret, env, Secret, p.secret, v)
	}
	return nil
}

func fill(data *[keySize]byte, env eventstore.Envelope, part Part, l lens, v reflect.Value) error {
	plain, err := openPart(data, env, part)
	if err != nil {
		return err
	}
	return l.read(plain, v)
}

// planOf returns the plan of an event's type.
func (c *Codec[E]) planOf(event reflect.Type) (*plan, error) {
	c.once.Do(c.init)
	p := c.byType[event]
	if p == nil && c.err == nil {
		return nil, fmt.Errorf("the codec knows no event of type %v", event)
	}
	return p, c.err
}

// planFor returns the plan of a stored name.
func (c *Codec[E]) planFor(name string) (*plan, error) {
	c.once.Do(c.init)
	p := c.byName[name]
	if p == nil && c.err == nil {
		return nil, fmt.Errorf("%w: %q", eventstore.ErrUnknownType, name)
	}
	return p, c.err
}

func (c *Codec[E]) init() {
	c.byName, c.byType = map[string]*plan{}, map[reflect.Type]*plan{}
	c.writers.New = func() any { return newWriter() }
	for _, zero := range c.Types {
		name, t := zero.EventType(), reflect.TypeOf(zero)
		p, err := newPlan(name, t)
		if err == nil {
			p.upcast(c.Upcasts[name])
		}
		if err == nil && c.byName[name] != nil {
			err = fmt.Errorf("two events are called %s", name)
		}
		c.err = errors.Join(c.err, err)
		c.byName[name], c.byType[t] = p, p
	}
}

package seal

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// PartKey returns the own key of one part of one event. Whoever has it can open that part with OpenWith, and nothing
// else. ErrAbsent: there is nothing to open, or nothing that opens it any more.
func (c *Codec[E]) PartKey(env eventstore.Envelope, part Part) ([]byte, error) {
	sealed, err := part.of(env)
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 {
		return nil, ErrAbsent
	}
	_, v, err := c.openPart(env)
	if err != nil {
		return nil, err
	}
	keys, err := c.keysOf(env, v)
	switch {
	case errors.Is(err, ErrDestroyed):
		return nil, ErrAbsent
	case err != nil:
		return nil, err
	}
	data := &keys.secret
	if part == Personal {
		data = &keys.personal
	}
	key := partKey(data, env.ID, part)
	return key[:], nil
}

// Evidence returns the bytes that were received, nil if none were kept or their keys were destroyed.
func (c *Codec[E]) Evidence(env eventstore.Envelope) ([]byte, error) { return c.part(env, Evidence) }

// part returns an opened part, nil if it is absent.
func (c *Codec[E]) part(env eventstore.Envelope, part Part) ([]byte, error) {
	key, err := c.PartKey(env, part)
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := OpenWith(key, env, part)
	if err != nil {
		return nil, fmt.Errorf("open the %s part of %s: %w", part, env.Type, err)
	}
	return plain, nil
}

// DecodeActor returns env's actor with the address from which it came, if that can still be opened.
func (c *Codec[E]) DecodeActor(env eventstore.Envelope) (eventstore.Actor, error) {
	plain, err := c.part(env, Personal)
	if err != nil || plain == nil {
		return env.Actor, err
	}
	var a addressed
	if err := json.Unmarshal(plain, &a); err != nil {
		return env.Actor, fmt.Errorf("read the actor of %s: %w", env.Type, plainError(err))
	}
	actor := env.Actor
	actor.Address = a.Address
	return actor, nil
}

// Views returns what a view may use of the codec: it decodes events without their secrets, and has no way to open a
// secret or the evidence.
func (c *Codec[E]) Views() Views[E] { return Views[E]{c} }

// Views decodes events for views: what is open and what is personal, never what is secret. It implements
// eventstore.Codec, but writes nothing.
type Views[E interface{ EventType() string }] struct{ codec *Codec[E] }

// errViewsWrite is the answer to a view that wants to write.
var errViewsWrite = errors.New("views read events, and write none")

// Decode returns env's event, its secrets absent. See Codec.Decode.
func (v Views[E]) Decode(env eventstore.Envelope) (E, error) { return v.codec.decode(env, false) }

// DecodeActor returns env's actor with its address. See Codec.DecodeActor.
func (v Views[E]) DecodeActor(env eventstore.Envelope) (eventstore.Actor, error) {
	return v.codec.DecodeActor(env)
}

// Encode refuses.
func (v Views[E]) Encode(eventstore.Envelope, E) (eventstore.Envelope, error) {
	return eventstore.Envelope{}, errViewsWrite
}

package seal

import (
	"fmt"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// DecodeIf returns env's event with its open part, and with its personal part if wanted, who is shown the event with its
// open part alone, says so. To unseal costs most of decoding, and most who fold events need it of few. See Codec.Decode.
func (v Views[E]) DecodeIf(env eventstore.Envelope, wanted func(E) bool) (event E, err error) {
	p, at, err := v.codec.openPart(env)
	if err != nil {
		return event, err
	}
	open := at.Elem().Interface().(E)
	if len(env.Personal) == 0 || !wanted(open) {
		return open, nil
	}
	if err := v.codec.open(env, p, at, false); err != nil {
		return event, fmt.Errorf("open %s: %w", env.Type, err)
	}
	return at.Elem().Interface().(E), nil
}

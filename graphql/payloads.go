package graphql

import (
	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/projections"
)

// What mutations answer.
type (
	sent struct {
		commands []order
		refused  []refusal
		against  []refusal
		muster   any // the order to many devices, if it is one
	}
	refusal struct {
		device, code, reason string
		err                  error
	}
	woken struct {
		device    string
		requested bool
		refusal
	}
	created struct {
		text  string
		token projections.OperatorToken
	}
)

func (t *types) makePayloads() {
	t.refused = t.object("RefusedTarget", "A device that was not sent the command, and why.", func() graphql.Fields {
		return graphql.Fields{
			"device": get("As it was given.", must(graphql.ID), func(r refusal) any { return r.device }),
			"code":   get("Stable, fit for programs.", must(graphql.String), func(r refusal) any { return r.code }),
			"reason": get("", must(graphql.String), func(r refusal) any { return r.reason }),
		}
	})
	t.sent = t.object("SendCommandPayload", "", func() graphql.Fields {
		return graphql.Fields{
			"commands": get("One for each device that took it.", many(t.command), func(s sent) any { return s.commands }),
			"order":    get("The order to a group: it goes on by itself, and its progress tells how far it has come. Null if devices were named.", t.bulk, func(s sent) any { return s.muster }),
			"refused":  get("The other devices.", many(t.refused), func(s sent) any { return s.refused }),
			"against": get("What the catalogue would have refused of a raw command that was taken all the same.", many(t.refused), func(s sent) any {
				return s.against
			}),
		}
	})
	t.woken = t.object("WakeResult", "Whether a device is being woken.", func() graphql.Fields {
		return graphql.Fields{
			"device":    get("As it was given.", must(graphql.ID), func(w woken) any { return w.device }),
			"requested": get("The push is on its way.", must(graphql.Boolean), func(w woken) any { return w.requested }),
			"code":      get("Why not, fit for programs.", graphql.String, func(w woken) any { return orNull(w.code) }),
			"reason":    get("Why not.", graphql.String, func(w woken) any { return orNull(w.reason) }),
		}
	})
	t.created = t.object("CreatedToken", "", func() graphql.Fields {
		return graphql.Fields{
			"text":  get("The token itself. Nobody can ever see it again.", must(graphql.String), func(c created) any { return c.text }),
			"token": get("", must(t.token), func(c created) any { return c.token }),
		}
	})
}

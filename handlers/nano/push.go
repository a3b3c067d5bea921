package nano

import (
	"context"
	"fmt"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// push wakes each id, and waits a moment for what Apple says.
func (d *Door) push(c echo.Context) error {
	who, err := caller(c)
	if err != nil {
		return d.refusePush(c, err)
	}
	ids, err := ids(c)
	if err != nil {
		return d.refusePush(c, err)
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), max(d.patience(), 0))
	defer cancel()
	a := answer{Status: each(ids, func(id string) result {
		dev, channel := d.names(id)
		at, err := d.Orders.Wake(c.Request().Context(), who, dev, channel)
		if err != nil {
			r := result{}
			r.PushError, r.note = d.explain(c, err)
			return r
		}
		if said := d.await(ctx, dev, channel, at); said != (result{}) {
			return said
		}
		return result{PushResult: d.request(c)}
	})}
	return tell(c, a.status(), a)
}

func (d *Door) refusePush(c echo.Context, err error) error {
	var a answer
	a.PushError, a.note = d.explain(c, err)
	return tell(c, handlers.Status(err), a)
}

// look is how often at most a device is asked for news.
const look = 20 * time.Millisecond

// await waits for what Apple says to a push that was asked for at a position. If nothing is said before ctx ends,
// there is no result.
func (d *Door) await(ctx context.Context, dev string, channel device.ChannelID, asked eventstore.Position) result {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for seen := int64(0); ; {
		position := d.Views.Position()
		_, version, err := d.Orders.Devices.Load(ctx, dev)
		if err != nil {
			return result{}
		}
		if version > seen {
			if said := d.said(ctx, dev, channel, asked); said != (result{}) {
				return said
			}
			seen = version
		}
		select {
		case <-d.Views.Advanced(position):
		case <-ctx.Done():
			return result{}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return result{}
		}
	}
}

// said returns what Apple has said to the channel's pushes since the position. A refusal that is not final says
// nothing: the push will be sent again.
func (d *Door) said(ctx context.Context, dev string, channel device.ChannelID, asked eventstore.Position) result {
	devices := d.Orders.Devices
	for env, err := range devices.Log.ReadStream(ctx, eventstore.Stream{Kind: device.Kind, ID: dev}, -1, eventstore.Backward) {
		if err != nil || env.Position <= asked {
			break
		}
		event, err := devices.Codec.Decode(env)
		if err != nil {
			break
		}
		switch e := event.(type) {
		case device.PushAccepted:
			if e.Channel == channel {
				return result{PushResult: e.APNsID}
			}
		case device.PushRefused:
			if e.Channel == channel && e.Final {
				return result{PushError: fmt.Sprintf("Apple refused the push: %s", e.Reason), note: note{Code: "apns"}}
			}
		}
	}
	return result{}
}

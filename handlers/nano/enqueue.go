package nano

import (
	"net/url"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// maxIDs is how many devices and users one request may name.
const maxIDs = 10_000

// atOnce is how many of them are seen to at the same time: their events share the log's transactions.
const atOnce = 32

// enqueue queues a raw command for each id. Without a body it only wakes, as NanoMDM does.
func (d *Door) enqueue(c echo.Context) error {
	who, err := caller(c)
	if err != nil {
		return d.refuseCommand(c, err)
	}
	if err := knownParameters(c); err != nil {
		return d.refuseCommand(c, err)
	}
	body, err := read(c)
	if err != nil {
		return d.refuseCommand(c, err)
	}
	if len(body) == 0 {
		return d.push(c)
	}
	order, err := handlers.RawOrder(body)
	if err != nil {
		return d.refuseCommand(c, err)
	}
	ids, err := ids(c)
	if err != nil {
		return d.refuseCommand(c, err)
	}
	a := answer{NoPush: c.QueryParam("nopush") != "", CommandUUID: order.UUID, RequestType: order.RequestType}
	a.Status = each(ids, func(id string) result {
		dev, channel := d.names(id)
		against, _, err := d.Orders.SendRaw(c.Request().Context(), who, dev, channel, order, a.NoPush)
		if err != nil {
			r := result{}
			r.CommandError, r.note = d.explain(c, err)
			return r
		}
		if a.NoPush {
			return result{Against: against}
		}
		return result{PushResult: d.request(c), Against: against}
	})
	status := a.status()
	for id, r := range a.Status {
		if r == (result{}) {
			delete(a.Status, id) // there is nothing to say about it
		}
	}
	return tell(c, status, a)
}

// knownParameters refuses a parameter that nobody knows: whoever writes noPush means nopush, and would not be told otherwise
// that every device of his is pushed.
func knownParameters(c echo.Context) error {
	for name := range c.QueryParams() {
		if name != "nopush" {
			return domain.WithHint(domain.Refusef(domain.Invalid, "no parameter is called %q", name), "there is nopush=1: the device is not woken")
		}
	}
	return nil
}

func (d *Door) refuseCommand(c echo.Context, err error) error {
	var a answer
	a.CommandError, a.note = d.explain(c, err)
	return tell(c, handlers.Status(err), a)
}

// request is the id under which the log knows the request.
func (d *Door) request(c echo.Context) string {
	return handlers.RequestFrom(c.Request().Context()).String()
}

// ids returns the ids in the path, each once.
func ids(c echo.Context) ([]string, error) {
	_, list, _ := strings.Cut(c.Request().URL.EscapedPath(), strings.TrimSuffix(c.Path(), "*"))
	var found []string
	seen := map[string]bool{}
	for text := range strings.SplitSeq(list, ",") {
		id, err := url.PathUnescape(text)
		if err != nil {
			return nil, domain.Refusef(domain.Invalid, "an id in the address is not well escaped")
		}
		if id = strings.TrimSpace(id); id != "" && !seen[id] {
			seen[id], found = true, append(found, id)
		}
	}
	switch {
	case len(found) == 0:
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "the address names no device"),
			"put UDIDs, EnrollmentIDs or UDID:UserID at its end, with commas between them")
	case len(found) > maxIDs:
		return nil, domain.Refusef(domain.Invalid, "a request may name %d devices and users at most", maxIDs)
	}
	return found, nil
}

// names returns how the log names the device or user.
func (d *Door) names(id string) (string, device.ChannelID) {
	dev, user, isUser := strings.Cut(id, ":")
	if !isUser {
		return d.Pseudonyms.Device(dev), ""
	}
	return d.Pseudonyms.Device(dev), device.ChannelID(d.Pseudonyms.Channel(dev, user))
}

// each does something for each id, several at once.
func each(ids []string, do func(id string) result) map[string]result {
	if len(ids) == 1 { // as nearly always: no goroutine that must grow its stack anew
		return map[string]result{ids[0]: do(ids[0])}
	}
	var mu sync.Mutex
	results := make(map[string]result, len(ids))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, id := range ids {
		g.Go(func() error {
			r := do(id)
			mu.Lock()
			defer mu.Unlock()
			results[id] = r
			return nil
		})
	}
	_ = g.Wait() // no error can come
	return results
}

// Package ledger is the door at which anybody can watch that the log only grows (c2sp.org/tlog-tiles):
//
//	GET /log/checkpoint               the newest signed checkpoint
//	GET /log/tile/{L}/{N}[.p/{W}]     hashes of the Merkle tree: tile N of level L, of which W are there
//	GET /log/place/{position}         the place of an event among all, whose position GraphQL and replay show
//	GET /log/ledger.pub               the public key; get it by another way too
//
// Hashes tell nothing of the events, which are not served here: each has a random id in it, so nobody can guess. How
// many events there are can be seen.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A Door serves the ledger. It needs no caller.
type Door struct {
	Ledger Ledger
	Place  func(ctx context.Context, position int64) (int64, error)
	Beyond error // what Place and Ledger.Tile returns, wrapped or not, for what there is not
}

// A Ledger signs and keeps the tree.
type Ledger interface {
	Latest(ctx context.Context) ([]byte, error)
	Tile(ctx context.Context, level int, n int64, width int) ([]byte, error)
	Public() string
}

// tileHeight is c2sp.org/tlog-tiles's: 256 hashes in a tile.
const tileHeight = 8

// Mount serves the routes in the group, which is /log.
func (d *Door) Mount(log *echo.Group) {
	log.GET("/checkpoint", d.checkpoint)
	log.GET("/tile/*", d.tile)
	log.GET("/place/:position", d.place)
	log.GET("/ledger.pub", d.public)
}

func (d *Door) checkpoint(c echo.Context) error {
	signed, err := d.Ledger.Latest(c.Request().Context())
	if err != nil {
		return fmt.Errorf("serve the checkpoint: %w", err)
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "max-age=1")
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", signed)
}

func (d *Door) tile(c echo.Context) error {
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", tileHeight, c.Param("*")))
	if err != nil || t.L < 0 {
		return domain.Refusef(domain.NotFound, "there is no such tile: want /log/tile/L/NNN or /log/tile/L/NNN.p/W")
	}
	data, err := d.Ledger.Tile(c.Request().Context(), t.L, t.N, t.W)
	switch {
	case d.Beyond != nil && errors.Is(err, d.Beyond):
		return domain.Refusef(domain.NotFound, "the log has not grown that far: no checkpoint needs this tile")
	case err != nil:
		return fmt.Errorf("serve a tile: %w", err)
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	return c.Blob(http.StatusOK, echo.MIMEOctetStream, data)
}

// place tells where an event stands among all: with the embedded log, at its position.
func (d *Door) place(c echo.Context) error {
	position, err := strconv.ParseInt(c.Param("position"), 10, 64)
	if err != nil || position < 1 {
		return domain.Refusef(domain.NotFound, "a position is a number from 1 on")
	}
	place, err := d.Place(c.Request().Context(), position)
	switch {
	case d.Beyond != nil && errors.Is(err, d.Beyond):
		return domain.Refusef(domain.NotFound, "no event stands at position %d", position)
	case err != nil:
		return fmt.Errorf("tell an event's place: %w", err)
	}
	return c.String(http.StatusOK, strconv.FormatInt(place, 10)+"\n")
}

func (d *Door) public(c echo.Context) error {
	return c.String(http.StatusOK, d.Ledger.Public()+"\n")
}

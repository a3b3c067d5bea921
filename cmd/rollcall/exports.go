package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	proof "github.com/rollcall-mdm/rollcall/handlers/ledger"
	"github.com/rollcall-mdm/rollcall/projections"
)

// An exporter makes bundles of the log of a server that runs, as `audit export` makes them of its directory.
type exporter struct{ *server }

// Export fulfils the door's interface.
func (e exporter) Export(ctx context.Context, q proof.Question, w io.Writer) error {
	stream, err := e.streamOf(ctx, q.Device)
	if err != nil {
		return err
	}
	last, err := end(ctx, e.ledger, q.Position)
	if err != nil {
		return err
	}
	asked, err := question(ctx, e.numbered(), moment{q.From}, moment{q.To}, stream, last)
	if err != nil {
		return err
	}
	x := &ledger.Export{
		Ledger: e.ledger, Log: e.numbered(), Question: asked,
		Position: last, Program: "rollcall " + version,
	}
	zip := ledger.NewZip(w)
	_, err = x.To(ctx, zip)
	if errors.Is(err, ledger.ErrBeyond) {
		return domain.Refusef(domain.Invalid, "the log does not reach position %d yet", q.Position)
	}
	if err != nil {
		return err
	}
	return zip.Close()
}

// numbered is the log with the events' places among all for positions, as the ledger counts them.
func (e exporter) numbered() ledger.Events {
	if other, ok := e.house.log.(*elsewhere); ok {
		return other.index.Numbered(other.Log)
	}
	return e.house.log
}

// Place returns the place among all events, as proofs and bundles count, of the event at a position.
func (e exporter) Place(ctx context.Context, position int64) (int64, error) {
	if other, ok := e.house.log.(*elsewhere); ok {
		place, err := other.place(ctx, eventstore.Position(position))
		return int64(place), err
	}
	head, err := e.house.log.Head(ctx)
	if err == nil && position > int64(head) {
		err = fmt.Errorf("%w: position %d of %d", ledger.ErrBeyond, position, head)
	}
	return position, err
}

// streamOf returns the stored name of the stream of a device that is called so: by itself, in the log or by its serial number.
func (e exporter) streamOf(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	for _, id := range []string{name, e.pseudonyms.Device(name)} {
		s := eventstore.Stream{Kind: device.Kind, ID: id}
		for _, err := range e.house.log.ReadStream(ctx, s, 0, eventstore.Forward) {
			if err != nil {
				return "", fmt.Errorf("look for a device: %w", err)
			}
			return s.String(), nil
		}
	}
	d, found, err := e.views.Device(ctx, name, projections.Now)
	if err == nil && !found {
		err = domain.Refusef(domain.NotFound, "the log knows no device that is called so")
	}
	if err != nil {
		return "", err
	}
	return eventstore.Stream{Kind: device.Kind, ID: d.ID}.String(), nil
}

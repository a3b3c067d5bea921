package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// archiveCmd moves old events out of the log, or looks at what was moved.
type archiveCmd struct {
	Create archiveCreateCmd `cmd:"" default:"withargs" help:"Move the oldest events to a file of their own, which stays provable; the log shrinks. While a server runs the file is made, and the log left as it is."`
	Verify archiveVerifyCmd `cmd:"" help:"Check an archive alone: every event, its place, and who signed for them."`
	List   archiveListCmd   `cmd:"" help:"List the archives of a log, and whether they are there."`
}

type archiveCreateCmd struct {
	stopped
	Before moment        `placeholder:"TIME" xor:"what" required:"" help:"Archive what is older than this moment."`
	Keep   time.Duration `placeholder:"DURATION" xor:"what" required:"" help:"Archive what is older than this, e.g. 8760h for a year."`
	To     string        `name:"out" required:"" placeholder:"FILE" help:"The archive's file, on a disk that stays: the log reads old events there from now on."`
}

// Run fulfils kong's command. Each step is whole by itself, and is found done if the command was killed after it: the
// file is made and checked; devices are folded into snapshots, so that none of them needs the file; then the events are
// taken out of the log.
func (c *archiveCreateCmd) Run(ctx context.Context) error {
	if !c.embedded() {
		return errors.New("archive moves events out of Rollcall's own log: EventStoreDB has ways of its own to scavenge")
	}
	log := filepath.Join(c.Data, logFile)
	a, err := c.write(ctx, log)
	if err != nil {
		return err
	}
	if a.Last == 0 {
		return c.settle(ctx, log)
	}
	fmt.Fprintf(c.out(), "%s holds the events from position %d to %d, and was read and checked\n", a.File, a.First, a.Last)
	if c.inUse() {
		fmt.Fprintln(c.out(), "a server is running, so the log still holds them too: stop it and run the same command again to take them out")
		return nil
	}
	if err := c.with(ctx, func(h *house) error { return c.fold(ctx, h) }); err != nil {
		return err
	}
	return c.takeOut(ctx, log)
}

// write makes the archive, or finds it made. It returns none if nothing is old enough.
func (c *archiveCreateCmd) write(ctx context.Context, log string) (embedded.Archive, error) {
	if _, err := os.Stat(log); err != nil {
		return embedded.Archive{}, fmt.Errorf("%s is no data directory, for it holds no log.db: name the server's with --data", c.Data)
	}
	r, err := embedded.OpenReadOnly(ctx, log)
	if err != nil {
		return embedded.Archive{}, err
	}
	last, err := r.Before(ctx, c.moment().UnixMicro())
	done := r.Archived()
	if err = errors.Join(err, r.Close()); err != nil {
		return embedded.Archive{}, err
	}
	if _, err := os.Stat(c.To); err == nil {
		return c.found(ctx, done)
	}
	if last <= done {
		return embedded.Archive{}, nil
	}
	sign, err := c.signer()
	if err != nil {
		return embedded.Archive{}, err
	}
	return embedded.WriteArchive(ctx, log, c.To, last, sign)
}

func (c *archiveCreateCmd) moment() time.Time {
	if c.Keep > 0 {
		return time.Now().Add(-c.Keep)
	}
	return c.Before.Time
}

// found takes up a file that an earlier run has made.
func (c *archiveCreateCmd) found(ctx context.Context, done eventstore.Position) (embedded.Archive, error) {
	a, err := embedded.CheckArchive(ctx, c.To)
	switch {
	case err != nil:
		return a, fmt.Errorf("%w; there is such a file already: name another with --out", err)
	case a.Last <= done:
		return embedded.Archive{}, nil // it was taken out already
	}
	return a, nil
}

func (c *archiveCreateCmd) signer() (embedded.Signer, error) {
	key, err := ledger.OpenKey(c.Data, "")
	if err != nil {
		return nil, err
	}
	return func(size int64, root tlog.Hash) ([]byte, error) { return key.Sign(size, root) }, nil
}

// fold keeps a snapshot of every device: a server then needs nothing of what goes into the archive.
func (c *archiveCreateCmd) fold(ctx context.Context, h *house) error {
	r, err := embedded.OpenReadOnly(ctx, h.path(logFile))
	if err != nil {
		return err
	}
	ids, err := r.StreamsOf(ctx, device.Kind)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	p := newProgress(c.err(), "folding devices", int64(len(ids)))
	defer p.end()
	for i, id := range ids {
		state, version, err := h.devices.Load(ctx, id)
		if err != nil {
			return err
		}
		if err := h.snapshots.Save(eventstore.Stream{Kind: device.Kind, ID: id}, version, state); err != nil {
			return fmt.Errorf("keep a snapshot: %w", err)
		}
		p.at(int64(i))
	}
	return nil
}

func (c *archiveCreateCmd) takeOut(ctx context.Context, log string) error {
	before := sizeOf(log)
	if err := embedded.TakeOut(ctx, log, c.To, device.Kind); err != nil {
		return err
	}
	fmt.Fprintf(c.out(), "the log shrank from %d to %d MiB; it reads old events in %s: keep that file, and copy it with your backups once\n",
		before>>20, sizeOf(log)>>20, c.To)
	return nil
}

// settle ends what an earlier run may have left: the log may hold room that nothing needs any more.
func (c *archiveCreateCmd) settle(ctx context.Context, log string) error {
	fmt.Fprintln(c.out(), "there is nothing to archive that is older and not archived yet")
	if c.inUse() {
		return nil
	}
	return embedded.Shrink(ctx, log)
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

type archiveVerifyCmd struct {
	auditPrints
	File string `arg:"" type:"existingfile" help:"The archive."`
	Key  string `type:"existingfile" placeholder:"FILE" help:"The log's public key (ledger.pub), got by another way than the archive."`
}

// Run fulfils kong's command.
func (c *archiveVerifyCmd) Run(ctx context.Context) error {
	a, err := embedded.CheckArchive(ctx, c.File)
	if err != nil {
		return err
	}
	if c.Key == "" {
		_, err = fmt.Fprintf(c.out(), "%s holds the events from position %d to %d, and they lead to its root %s.\nGive --key with a ledger.pub that you have from elsewhere, to know whose log this is.\n",
			c.File, a.First, a.Last, a.Root)
		return err
	}
	public, err := publicKey(c.Key)
	if err != nil {
		return err
	}
	signed, err := ledger.OpenCheckpoint(a.Checkpoint, public)
	if err != nil {
		return err
	}
	if signed.Size != int64(a.Last) || signed.Root != a.Root {
		return fmt.Errorf("%s has the checkpoint of %d other events: it is not what was archived", c.File, signed.Size)
	}
	_, err = fmt.Fprintf(c.out(), "Good: the events from position %d to %d of the log %s are what was signed.\nRoot %s\n", a.First, a.Last, signed.Origin, a.Root)
	return err
}

type archiveListCmd struct{ stopped }

// Run fulfils kong's command.
func (c *archiveListCmd) Run(ctx context.Context) error {
	list, err := embedded.Archives(ctx, filepath.Join(c.Data, logFile))
	if err != nil {
		return err
	}
	for _, a := range list {
		state := "there"
		if _, err := os.Stat(a.File); err != nil {
			state = "not there"
		}
		fmt.Fprintf(c.out(), "%d to %d  %s  %s\n", a.First, a.Last, a.File, state)
	}
	return nil
}

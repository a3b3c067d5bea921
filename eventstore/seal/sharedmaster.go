package seal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// openMaster opens the master key that the keyring names, or chooses one for a new keyring.
func (k *SharedKeyring) openMaster(ctx context.Context) error {
	id, probe, err := k.readMaster(ctx)
	if errors.Is(err, pgx.ErrNoRows) && !k.ReadOnly {
		if err := k.chooseMaster(ctx); err != nil {
			return err
		}
		id, probe, err = k.readMaster(ctx)
	}
	if err != nil {
		return err
	}
	if k.master, err = k.Master(ctx, id); err != nil {
		return err
	}
	if k.master.ID() != id {
		return fmt.Errorf("its keys are wrapped by the master key %s, and this is %s: all servers have the same, copy it here or say with --master-key where it is",
			id, k.master.ID())
	}
	if _, err := k.master.Unwrap(ctx, probeSubject, probe); err != nil {
		return fmt.Errorf("the master key %s does not unwrap what is in it: %w", id, err)
	}
	return k.catchUp(ctx)
}

func (k *SharedKeyring) readMaster(ctx context.Context) (id string, probe []byte, err error) {
	err = k.ask(ctx, func(ctx context.Context) error {
		return k.db.QueryRow(ctx, "SELECT id, probe FROM rollcall_master").Scan(&id, &probe)
	})
	return id, probe, err
}

// chooseMaster writes the master key of a new keyring into it, unless another server has done so.
func (k *SharedKeyring) chooseMaster(ctx context.Context) error {
	master, err := k.Master(ctx, "")
	if err != nil {
		return err
	}
	probe, err := master.Wrap(ctx, probeSubject, NewDataKeys().bytes())
	if err != nil {
		return err
	}
	return k.ask(ctx, func(ctx context.Context) error {
		_, err := k.db.Exec(ctx, "INSERT INTO rollcall_master (id, probe) VALUES ($1, $2) ON CONFLICT DO NOTHING", master.ID(), probe)
		return err
	})
}

// follow goes over to the master key to which another server has changed. ErrUnavailable: it is not here yet.
func (k *SharedKeyring) follow(ctx context.Context, id string) (MasterKey, error) {
	master, err := k.Master(ctx, id)
	if err == nil && master.ID() != id {
		err = fmt.Errorf("the master key here is %s", master.ID())
	}
	if err != nil {
		err = fmt.Errorf("%w: another server has changed the master key to %s, which must be put here too: %w", eventstore.ErrUnavailable, id, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err == nil:
		k.master, k.missed = master, ""
	case k.missed != id:
		k.missed = id
		k.Logger.Error("data keys that are not in memory cannot be opened: another server has changed the master key, put the new one here too", "master", id)
	}
	return master, err
}

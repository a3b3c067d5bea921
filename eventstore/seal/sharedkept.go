package seal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// keptSubject stands for no subject: its keys seal what servers share beside data keys.
const keptSubject = "-kept"

// Keep keeps a small file for all servers, sealed, unless one of that name is kept already. It returns what is kept.
func (k *SharedKeyring) Keep(ctx context.Context, name string, content []byte) ([]byte, error) {
	if k.ReadOnly {
		return nil, ErrReadOnly
	}
	keys, err := k.Make(ctx, keptSubject)
	if err != nil {
		return nil, err
	}
	sealed, err := sealBytes(keys.secret[:], keptAs(name), content)
	if err != nil {
		return nil, err
	}
	if err := k.exec(ctx, "INSERT INTO rollcall_kept (name, sealed) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, sealed); err != nil {
		return nil, fmt.Errorf("keep %s in the keyring: %w", name, err)
	}
	kept, err := k.Kept(ctx)
	return kept[name], err
}

// Kept returns all that is kept for all servers, by name.
func (k *SharedKeyring) Kept(ctx context.Context) (map[string][]byte, error) {
	sealed := map[string][]byte{}
	err := k.ask(ctx, func(ctx context.Context) error {
		rows, err := k.db.Query(ctx, "SELECT name, sealed FROM rollcall_kept")
		if err != nil {
			return err
		}
		var name string
		var content []byte
		_, err = pgx.ForEachRow(rows, []any{&name, &content}, func() error {
			sealed[name] = append([]byte(nil), content...)
			return nil
		})
		return err
	})
	if err != nil || len(sealed) == 0 {
		return nil, err
	}
	keys, err := k.Keys(ctx, keptSubject)
	if err != nil {
		return nil, err
	}
	kept := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(sealed)) {
		content, openErr := openBytes(keys.secret[:], keptAs(name), sealed[name])
		if openErr != nil {
			err = errors.Join(err, fmt.Errorf("open %s, which the keyring keeps: %w", name, openErr))
			continue
		}
		kept[name] = content
	}
	return kept, err
}

func keptAs(name string) []byte { return []byte("rollcall keeps " + name) }

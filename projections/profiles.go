package projections

import (
	_ "embed"
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain/profile"
)

//go:embed profiles.sql
var profilesSQL string

// libraryView answers: which configuration profiles does the library have, and which versions of them were there?
type libraryView struct{ names *names }

func newProfiles(n *names) folder { return libraryView{n} }

func (libraryView) forget()        {}
func (libraryView) flush(Tx) error { return nil }

func (p libraryView) apply(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case profile.Stored:
		return p.stored(tx, r, e)
	case profile.Withdrawn:
		return p.end(tx, r)
	}
	return nil
}

func (libraryView) end(tx Tx, r *record) error {
	return tx.Exec(`UPDATE profiles SET until = ? WHERE id = ? AND until IS NULL`, r.position, r.env.Stream.ID)
}

func (p libraryView) stored(tx Tx, r *record, e profile.Stored) error {
	if err := p.end(tx, r); err != nil {
		return err
	}
	actor, err := p.names.actorOf(r)
	if err != nil {
		return err
	}
	args := []any{r.env.Stream.ID, e.Version, r.position, actor, e.Revision, e.UUID, e.Name, e.Description}
	for _, list := range []any{e.Types, e.Variables, e.Findings} {
		text, err := json.Marshal(list)
		if err != nil {
			return err
		}
		args = append(args, string(text))
	}
	return tx.Exec(`INSERT INTO profiles (id, version, since, actor, revision, uuid, name, description, types, variables, findings, signer, signed_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append(args, e.Signer, e.SignedBy)...)
}

package projections

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A ProfileVersion is one version of a configuration profile of the library.
type ProfileVersion struct {
	Identifier  string
	Version     int
	Revision    string
	UUID        string
	Name        string
	Description string
	Types       []string // of its payloads
	Variables   []string
	Findings    []profile.Finding
	Signer      string // SHA-256 of the certificate that it is signed with; empty if it is not
	SignedBy    string
	Since       time.Time
	PutBy       eventstore.Actor
}

const profileColumns = `p.id, p.version, p.revision, p.uuid, p.name, p.description, p.types, p.variables, p.findings, p.signer, p.signed_by,
	s.time, a.kind, a.ident, a.name, a.role FROM profiles p JOIN timeline s ON s.position = p.since LEFT JOIN actors a ON a.id = p.actor`

func readProfile(r Row) ProfileVersion {
	p := ProfileVersion{
		Identifier: r.Text(0), Version: int(r.Int(1)), Revision: r.Text(2), UUID: r.Text(3), Name: r.Text(4), Description: r.Text(5),
		Signer: r.Text(9), SignedBy: r.Text(10), Since: moment(r.Int(11)), PutBy: readActor(r, 12, ""),
	}
	_ = json.Unmarshal([]byte(r.Text(6)), &p.Types) // this view wrote them
	_ = json.Unmarshal([]byte(r.Text(7)), &p.Variables)
	_ = json.Unmarshal([]byte(r.Text(8)), &p.Findings)
	return p
}

// Profiles lists the profiles that the library had at a moment, each in its newest version, by identifier.
func (v *Views) Profiles(ctx context.Context, asOf eventstore.Position, page Page) (l Listing[ProfileVersion], err error) {
	w, err := windowOf[string](page)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		list, err := newAlbum(tx, asOf).profiles(w)
		l = listing(w, list, func(p ProfileVersion) string { return p.Identifier })
		return err
	})
	return l, err
}

func (a *album) profiles(w window[string]) (list []ProfileVersion, err error) {
	var where where
	covers, args := a.at("p")
	where.and(covers, args...)
	if w.after != nil {
		where.and("p.id > ?", *w.after)
	}
	if w.before != nil {
		where.and("p.id < ?", *w.before)
	}
	order := ` ORDER BY p.id LIMIT ?`
	if w.backward {
		order = ` ORDER BY p.id DESC LIMIT ?`
	}
	err = a.tx.Query(`SELECT `+profileColumns+where.String()+order, append(where.args, w.n+1), func(r Row) error {
		list = append(list, readProfile(r))
		return nil
	})
	return list, err
}

// Profile returns a profile's newest version at a moment, and whether the library had it.
func (v *Views) Profile(ctx context.Context, identifier string, asOf eventstore.Position) (p ProfileVersion, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		covers, args := newAlbum(tx, asOf).at("p")
		found, err = one(tx, `SELECT `+profileColumns+` WHERE p.id = ? AND `+covers, append([]any{identifier}, args...), func(r Row) { p = readProfile(r) })
		return err
	})
	return p, found, err
}

// ProfileVersions lists all versions of a profile that there had been up to a moment, the newest first.
func (v *Views) ProfileVersions(ctx context.Context, identifier string, asOf eventstore.Position) (list []ProfileVersion, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT `+profileColumns+` WHERE p.id = ? AND p.since <= ? ORDER BY p.version DESC`, []any{identifier, int64(newAlbum(tx, asOf).asOf)}, func(r Row) error {
			list = append(list, readProfile(r))
			return nil
		})
	})
	return list, err
}

package projections

import (
	"context"
	_ "embed"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/operator"
)

//go:embed operators.sql
var operatorsSQL string

// operators answers: whose is this API token, and which tokens are there?
type operators struct{ names *names }

func newOperators(n *names) folder { return operators{n} }

func (operators) forget()        {}
func (operators) flush(Tx) error { return nil }

func (o operators) apply(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case operator.TokenCreated:
		actor, err := o.names.actorOf(r)
		if err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO operators (id, name, role, hash, expires, created, actor) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			r.env.Stream.ID, e.Name, string(e.Role), e.Hash, orNull(microseconds(e.Expires)), r.at, actor)
	case operator.TokenRevoked:
		return tx.Exec(`UPDATE operators SET revoked = ? WHERE id = ?`, r.at, r.env.Stream.ID)
	}
	return nil
}

const operatorColumns = `o.id, o.name, o.role, o.created, o.expires, o.revoked, a.kind, a.ident, a.name, a.role
	FROM operators o LEFT JOIN actors a ON a.id = o.actor`

func readOperator(r Row) OperatorToken {
	return OperatorToken{
		ID: r.Text(0), Name: r.Text(1), Role: operator.Role(r.Text(2)), CreatedAt: moment(r.Int(3)),
		Expires: moment(r.Int(4)), RevokedAt: moment(r.Int(5)), CreatedBy: readActor(r, 6, ""),
	}
}

// TokenByHash returns the API token whose SHA-256 (hex) is hash, and whether there is one. Ask Good whether it
// still opens a door.
func (v *Views) TokenByHash(ctx context.Context, hash string) (token OperatorToken, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		found, err = one(tx, `SELECT `+operatorColumns+` WHERE o.hash = ?`, []any{hash},
			func(r Row) { token = readOperator(r) })
		return err
	})
	return token, found, err
}

// Tokens lists all API tokens, in the order in which they were made.
func (v *Views) Tokens(ctx context.Context) (list []OperatorToken, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT `+operatorColumns+` ORDER BY o.created, o.id`, nil, func(r Row) error {
			list = append(list, readOperator(r))
			return nil
		})
	})
	return list, err
}

// Good reports whether the token opens a door at the time at.
func (t OperatorToken) Good(at time.Time) bool {
	return t.ID != "" && t.RevokedAt.IsZero() && (t.Expires.IsZero() || at.Before(t.Expires))
}

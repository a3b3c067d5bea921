package projections

import "strings"

// A where gathers the conditions of a query. An impossible one chooses nothing.
type where struct {
	conditions []string
	args       []any
	impossible bool
}

func (w *where) and(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

// in adds that column is one of ids, or makes the query impossible if there are none.
func (w *where) in(column string, ids []int64) {
	if len(ids) == 0 {
		w.impossible = true
		return
	}
	w.and(column+" IN ("+marks(len(ids))+")", anys(ids)...)
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// marks is a list of placeholders, its length rounded up so that few different queries exist; anys fills it.
func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", rounded(n)), ", ") }

func anys[T int64 | string](list []T) []any {
	args := make([]any, rounded(len(list)))
	for i := range args {
		args[i] = list[min(i, len(list)-1)]
	}
	return args
}

func rounded(n int) int {
	size := 1
	for size < n {
		size *= 2
	}
	return size
}

// numbers returns the first column of an answer.
func numbers(tx Tx, query string, args ...any) (found []int64, err error) {
	err = tx.Query(query, args, func(r Row) error {
		found = append(found, r.Int(0))
		return nil
	})
	return found, err
}

package domain

// A Stamp makes of words a mark of 64 hex digits: the same words always have the same one, others another. Who does not
// hold its key learns nothing of the words, not even by trying all that they could be.
//
// A mark of something that may hold a secret stands in the open part of the log. A plain hash would do for telling whether
// it has changed, but whoever knew all of it except a short password could find that by trying.
type Stamp func(words ...string) string

// Of returns the stamp for what belongs to one thing: the same content elsewhere has another mark.
func (s Stamp) Of(kind, id string) Stamp {
	return func(words ...string) string { return s(append([]string{kind, id}, words...)...) }
}

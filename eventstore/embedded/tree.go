package embedded

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// blockHashes is how many hashes stand in a row: few enough to rewrite the last row with each commit.
const blockHashes = 32

const (
	readBlock  = "SELECT hashes FROM hashes WHERE block = ?"
	writeBlock = "INSERT INTO hashes VALUES (?1, ?2) ON CONFLICT DO UPDATE SET hashes = ?2"
)

// A tree is the Merkle tree over the events, as the committer knows it: its right edge, and the hashes that are not
// in the file yet. The hashes are committed with their events, or not at all.
type tree struct {
	read, write *sqlite.Stmt
	edge        ledger.Edge
	leaves      ledger.Leaves
	block       int64       // of the first of tail
	tail        []tlog.Hash // the last block, which may be full, and what comes after it
	clean       int         // how many of tail are in the file
	buf         []byte
}

func (t *tree) prepare(conn *sqlite.Conn) error {
	return prepare(conn, map[**sqlite.Stmt]string{&t.read: readBlock, &t.write: writeBlock})
}

// recover reads the edge of the tree over what is durable: size events.
func (t *tree) recover(size int64) (err error) {
	blocks := blockReader{stmt: t.read}
	if t.edge, err = ledger.ReadEdge(size, &blocks); err != nil {
		return fmt.Errorf("the log's hashes do not fit its %d events: %w", size, err)
	}
	count := tlog.StoredHashCount(size)
	t.block = count / blockHashes
	t.tail = append(t.tail[:0], make([]tlog.Hash, count%blockHashes)...)
	t.clean = len(t.tail)
	hashes, err := blocks.get(t.block)
	if err == nil && len(hashes) != len(t.tail)*tlog.HashSize {
		err = fmt.Errorf("the log has hashes of other events than its %d", size)
	}
	for i := range t.tail {
		copy(t.tail[i][:], hashes[min(len(hashes), i*tlog.HashSize):])
	}
	return err
}

// add adds an event, which is complete.
func (t *tree) add(e *eventstore.Envelope) { t.tail = t.edge.Append(t.tail, t.leaves.Hash(e)) }

// flush writes the hashes that are not in the file.
func (t *tree) flush() error {
	if t.clean == len(t.tail) {
		return nil
	}
	for len(t.tail) > 0 {
		n := min(blockHashes, len(t.tail))
		t.buf = t.buf[:0]
		for i := range t.tail[:n] {
			t.buf = append(t.buf, t.tail[i][:]...)
		}
		t.write.BindInt64(1, t.block)
		t.write.BindBytes(2, t.buf)
		if err := run(t.write); err != nil {
			return err
		}
		if n < blockHashes {
			break
		}
		t.block++
		t.tail = t.tail[:copy(t.tail, t.tail[n:])]
	}
	t.clean = len(t.tail)
	return nil
}

// A blockReader reads hashes. It remembers the block that it read last.
type blockReader struct {
	stmt  *sqlite.Stmt
	known bool
	block int64
	row   []byte
}

// ReadHashes implements tlog.HashReader.
func (b *blockReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		row, err := b.get(index / blockHashes)
		if err != nil {
			return nil, err
		}
		at := int(index % blockHashes * tlog.HashSize)
		if at+tlog.HashSize > len(row) {
			return nil, fmt.Errorf("hash %d is missing", index)
		}
		copy(hashes[i][:], row[at:])
	}
	return hashes, nil
}

// get returns a block's hashes; none if there is no such block.
func (b *blockReader) get(block int64) ([]byte, error) {
	if b.known && b.block == block {
		return b.row, nil
	}
	b.known, b.row = false, b.row[:0]
	b.stmt.BindInt64(1, block)
	err := one(b.stmt, func() {
		b.row = append(b.row, make([]byte, b.stmt.ColumnLen(0))...)
		b.stmt.ColumnBytes(0, b.row)
	})
	b.known, b.block = err == nil, block
	return b.row, err
}

// makeHashes gives a file of version 1 the hashes of its events. It is done wholly or not at all.
func makeHashes(conn *sqlite.Conn, path string) (err error) {
	defer sqlitex.Save(conn)(&err)
	const table = "CREATE TABLE hashes (block INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT"
	if err := sqlitex.ExecuteTransient(conn, table, nil); err != nil {
		return err
	}
	var t tree
	if err := errors.Join(t.prepare(conn), hashAll(&t, path)); err != nil {
		return err
	}
	if err := errors.Join(t.read.Finalize(), t.write.Finalize()); err != nil {
		return err
	}
	return sqlitex.ExecuteTransient(conn, "PRAGMA user_version = 2", nil)
}

// hashAll adds all events in the file to the tree.
func hashAll(t *tree, path string) error {
	var n names
	n.init(1 << 12)
	r, err := openReader(path, &n)
	if err != nil {
		return err
	}
	for at, end := eventstore.Position(0), false; !end && err == nil; {
		var p page
		p, err = r.after(at, 1<<62)
		for i := range p.events {
			t.add(&p.events[i])
			at = p.events[i].Position
		}
		err, end = errors.Join(err, t.flush()), p.end
	}
	return errors.Join(err, r.conn.Close())
}

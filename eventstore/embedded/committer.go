package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A committer is the only one who writes. Nobody else touches its connection or its memory.
type committer struct {
	conn                    *sqlite.Conn
	begin, commit, rollback *sqlite.Stmt
	last                    *sqlite.Stmt
	tables                  tables
	tree                    tree
	wal                     wal

	head   eventstore.Position // of what is durable
	next   eventstore.Position // of the next event to be written
	unsure bool                // a commit failed: what is in the file must be read again

	recent  *ring
	observe func(Commit)
	logger  *slog.Logger
}

func openCommitter(path string, options Options) (*committer, error) {
	conn, err := openFile(path)
	if err != nil {
		return nil, err
	}
	c := &committer{conn: conn, observe: options.Observe, logger: options.Logger}
	err = errors.Join(c.prepare(path, options), c.recover())
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *committer) prepare(path string, options Options) error {
	err := prepare(c.conn, map[**sqlite.Stmt]string{
		&c.begin:    "BEGIN IMMEDIATE",
		&c.commit:   "COMMIT",
		&c.rollback: "ROLLBACK",
		&c.last:     "SELECT max(position) FROM events",
	})
	return errors.Join(err, c.tables.prepare(c.conn, options), c.tree.prepare(c.conn), c.wal.prepare(c.conn, path))
}

// recover reads what is durable and forgets what was only believed to be.
func (c *committer) recover() error {
	c.unsure = true
	c.tables.forget()
	err := one(c.last, func() { c.head = eventstore.Position(c.last.ColumnInt64(0)) })
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	if err := c.tree.recover(int64(c.head)); err != nil {
		return err
	}
	c.unsure = false
	return nil
}

// run commits what is waiting until the queue is closed.
func (c *committer) run(q *queue) error {
	var group []*pending
	for {
		runtime.Gosched() // those just answered may have more: let it come into this group
		group = q.take(group[:0])
		if len(group) == 0 {
			return c.close()
		}
		done := c.group(group)
		for _, p := range group {
			p.done <- p.outcome
		}
		clear(group)
		c.tend(done)
	}
}

// group writes the appends in one transaction, makes it durable, and shows it to followers.
func (c *committer) group(group []*pending) Commit {
	start := time.Now()
	done := Commit{Appends: len(group)}
	done.Err = c.transact(group, &done)
	if done.Err != nil {
		c.fail(group, done.Err)
	} else if c.next > c.head+1 {
		c.head = c.next - 1
		c.recent.publish(group, c.head)
	}
	done.Took = time.Since(start)
	return done
}

func (c *committer) transact(group []*pending, done *Commit) error {
	if c.unsure {
		if err := c.recover(); err != nil {
			return err
		}
	}
	if err := run(c.begin); err != nil {
		return fmt.Errorf("begin a commit: %w", err)
	}
	c.next = c.head + 1
	for _, p := range group {
		if err := c.write(p, done); err != nil {
			return fmt.Errorf("write an event: %w", err)
		}
	}
	if err := c.tree.flush(); err != nil {
		return fmt.Errorf("write the events' hashes: %w", err)
	}
	start := time.Now()
	if err := run(c.commit); err != nil {
		return fmt.Errorf("commit events: %w", err)
	}
	done.Sync = time.Since(start)
	return nil
}

// fail undoes the transaction: nobody's events were written.
func (c *committer) fail(group []*pending, err error) {
	c.unsure = true
	if !c.conn.AutocommitEnabled() {
		if err := run(c.rollback); err != nil {
			c.logger.Error("a failed commit was not rolled back", "error", err)
		}
	}
	for _, p := range group {
		p.outcome = err
	}
}

// write adds one append to the transaction, or finds that it must not be added. It checks before it writes, so
// that one append's conflict is nothing to the others; an error is the whole transaction's.
func (c *committer) write(p *pending, done *Commit) error {
	if !p.take() {
		return nil
	}
	s, err := c.tables.stream(p.stream)
	if err != nil {
		return err
	}
	p.stamp()
	if s.version != p.expected {
		done.Conflicts++
		p.repeated, err = c.tables.repeats(s, p)
		if !p.repeated {
			p.outcome = fmt.Errorf("append to %s: %w", p.stream, eventstore.ErrConflict)
		}
		return err
	}
	if s.id == 0 {
		if err := c.tables.addStream(p.stream, s); err != nil {
			return err
		}
	}
	for i := range p.events {
		p.events[i].Position = c.next
		leaf := c.tree.add(&p.events[i])
		if err := c.tables.addEvent(s.id, &p.events[i], &leaf); err != nil {
			return err
		}
		done.Bytes += size(&p.events[i])
		c.next++
	}
	done.Events += len(p.events)
	s.version += int64(len(p.events))
	return nil
}

// tend does what can wait until the appends are answered.
func (c *committer) tend(done Commit) {
	if done.Err != nil {
		c.logger.Error("events could not be written", "appends", done.Appends, "error", done.Err)
	} else if err := c.wal.tend(done.Bytes); err != nil {
		c.logger.Warn("the write-ahead log was not checkpointed; it grows until it is", "error", err)
	}
	if c.observe != nil {
		c.observe(done)
	}
}

func (c *committer) close() error { return c.conn.Close() }

-- Bulk: orders to many devices, and what each became. A row is an order; its key is the position at which it was given.

CREATE TABLE bulk_orders (
  position     INTEGER PRIMARY KEY,
  id           TEXT    NOT NULL,
  grouping     TEXT    NOT NULL, -- the group's id
  devices      INTEGER NOT NULL, -- how many it was given to
  type         INTEGER NOT NULL,
  actor        INTEGER,
  reason       TEXT,
  reached      INTEGER NOT NULL, -- devices, by now
  cancelled    INTEGER,          -- position
  cancelled_by INTEGER,
  because      TEXT              -- why it was cancelled
);
CREATE INDEX bulk_orders_id ON bulk_orders (id);
CREATE INDEX bulk_orders_open ON bulk_orders (position) WHERE reached < devices AND cancelled IS NULL;

CREATE TABLE bulk_commands (
  command  INTEGER PRIMARY KEY, -- position at which it was queued
  ordering INTEGER NOT NULL     -- position of the order
);
CREATE INDEX bulk_commands_ordering ON bulk_commands (ordering, command);

CREATE TABLE bulk_refused (
  ordering INTEGER NOT NULL,
  place    INTEGER NOT NULL,    -- counted from 1
  position INTEGER NOT NULL,
  device   INTEGER NOT NULL,
  code     TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  PRIMARY KEY (ordering, place)
) WITHOUT ROWID;

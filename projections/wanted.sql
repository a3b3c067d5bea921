-- Wanted: which things devices are to have, who is to have them, and how far each channel has come.

CREATE TABLE wanted_things (
  id       TEXT NOT NULL,
  since    INTEGER NOT NULL,
  until    INTEGER,
  actor    INTEGER,          -- who gave it this content
  revision TEXT NOT NULL,
  base     TEXT NOT NULL,    -- of an app: the same for all of its configurations
  uuid     TEXT NOT NULL,
  version  TEXT NOT NULL,    -- of the library's profile: a number or latest; empty if it is none
  every    INTEGER NOT NULL, -- nanoseconds
  shown    TEXT NOT NULL,
  PRIMARY KEY (id, since)
) WITHOUT ROWID;

-- The latest version of each profile of the library.
CREATE TABLE wanted_library (
  id       TEXT PRIMARY KEY,
  revision TEXT NOT NULL,
  uuid     TEXT NOT NULL,
  shown    TEXT NOT NULL
);

CREATE TABLE wanted_groups (
  thing    TEXT NOT NULL,
  grouping TEXT NOT NULL,
  users    INTEGER NOT NULL,
  first    INTEGER NOT NULL,
  since    INTEGER NOT NULL,
  until    INTEGER,
  PRIMARY KEY (thing, grouping, users, since)
) WITHOUT ROWID;
CREATE INDEX wanted_groups_group ON wanted_groups (grouping);

CREATE TABLE wanted_states (
  device   INTEGER NOT NULL,
  channel  INTEGER NOT NULL, -- 0 for the device's own
  thing    TEXT NOT NULL,
  since    INTEGER NOT NULL,
  until    INTEGER,
  state    TEXT NOT NULL,    -- ORDERED, DONE, FAILED, REFUSED, RETRY
  revision TEXT NOT NULL,
  removes  INTEGER NOT NULL,
  attempt  INTEGER NOT NULL,
  ordered  INTEGER NOT NULL, -- when, in microseconds
  at       INTEGER NOT NULL, -- when it came to this state
  because  TEXT NOT NULL,
  PRIMARY KEY (device, channel, thing, since)
) WITHOUT ROWID;

-- Commands under way.
CREATE TABLE wanted_orders (
  command INTEGER PRIMARY KEY,
  device  INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  thing   TEXT NOT NULL
);
CREATE INDEX wanted_orders_device ON wanted_orders (device, channel, thing);

-- Channels that wait in Setup Assistant.
CREATE TABLE wanted_setup (
  device  INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  since   INTEGER NOT NULL,
  until   INTEGER,
  PRIMARY KEY (device, channel, since)
) WITHOUT ROWID;

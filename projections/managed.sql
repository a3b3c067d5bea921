-- Managed: what this server has put on each device, and how it is there. A row holds from the position since up to, not
-- including, until; the last one of a thing has no until.

CREATE TABLE managed (
  device   INTEGER NOT NULL,
  channel  INTEGER NOT NULL, -- 0 for the device's own
  kind     TEXT NOT NULL,
  ident    TEXT NOT NULL,
  since    INTEGER NOT NULL,
  until    INTEGER,
  state    TEXT NOT NULL,
  was      TEXT NOT NULL,    -- the state before the device was presumed to be managed no longer
  command  INTEGER NOT NULL, -- position at which the command was queued that brought it; 0 if none of ours did
  removal  INTEGER NOT NULL, -- and of the one that took it away
  revision TEXT NOT NULL,    -- SHA-256 of what was sent
  uuid     TEXT NOT NULL,    -- that it was sent with
  part_of  TEXT NOT NULL,    -- the profile that brought a certificate
  stays    INTEGER NOT NULL, -- 1: it stays when the enrolment ends; 2: and no list tells of it
  locked   INTEGER NOT NULL,
  about    TEXT NOT NULL,    -- JSON: what the device told of it
  because  TEXT NOT NULL,
  PRIMARY KEY (device, channel, kind, ident, since)
) WITHOUT ROWID;

-- Commands under way that bring something, take it away, or ask for a part of a list.
CREATE TABLE managed_orders (
  command INTEGER PRIMARY KEY, -- position at which it was queued
  device  INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  kind    TEXT NOT NULL,
  ident   TEXT NOT NULL,
  stays   INTEGER NOT NULL,
  brings  TEXT NOT NULL        -- JSON: device.Thing
);
CREATE INDEX managed_orders_device ON managed_orders (device);

-- The lists that a channel told last, as far as they matter here: a later answer may only say that nothing has changed.
CREATE TABLE managed_lists (
  device  INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  list    TEXT NOT NULL, -- request type
  told    TEXT NOT NULL, -- JSON: entries by identifier
  PRIMARY KEY (device, channel, list)
) WITHOUT ROWID;

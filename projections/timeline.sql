-- The timeline: one row for each event, and who did what.

CREATE TABLE timeline (
  position INTEGER PRIMARY KEY,
  time     INTEGER NOT NULL, -- microseconds since 1970; never less than that of an earlier position
  type     INTEGER NOT NULL,
  device   INTEGER,          -- NULL if the stream is no device's
  stream   TEXT,             -- its name; NULL if it is a device's
  version  INTEGER NOT NULL, -- in the stream
  channel  INTEGER,          -- of a user; NULL for the device's own
  command  INTEGER,          -- position at which the command was queued
  uuid     TEXT,             -- of the command; NULL if the command is known
  actor    INTEGER           -- NULL if the device itself
);
CREATE INDEX timeline_device ON timeline (device, position) WHERE device IS NOT NULL;
CREATE INDEX timeline_actor ON timeline (actor, position) WHERE actor IS NOT NULL;
-- Types below 16 are those that fill the log: looking for them needs no index.
CREATE INDEX timeline_type ON timeline (type, position) WHERE type >= 16;
CREATE INDEX timeline_uuid ON timeline (uuid) WHERE uuid IS NOT NULL;

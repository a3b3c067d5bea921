-- Facts: what is known of each device under each key, now and at any moment. Both tables together are the whole:
-- facts holds what is true now, facts_past what was true from the position since up to, not including, until.
-- A fact that did not change writes nothing.

CREATE TABLE facts (
  device INTEGER NOT NULL,
  area   INTEGER NOT NULL, -- the first part of the key, which one kind of answer owns
  key    INTEGER NOT NULL,
  since  INTEGER NOT NULL,
  object INTEGER,          -- the value, if it is long: it stands in fact_values once for all devices
  value  TEXT,             -- the value as JSON, if it is short
  PRIMARY KEY (device, area, key)
) WITHOUT ROWID;

CREATE TABLE facts_past (
  device INTEGER NOT NULL,
  area   INTEGER NOT NULL,
  key    INTEGER NOT NULL,
  since  INTEGER NOT NULL,
  until  INTEGER NOT NULL,
  object INTEGER,
  value  TEXT,
  PRIMARY KEY (device, area, key, since)
) WITHOUT ROWID;

CREATE TABLE fact_values (
  id    INTEGER PRIMARY KEY,
  hash  TEXT NOT NULL, -- of the value
  value TEXT NOT NULL  -- JSON
);
CREATE UNIQUE INDEX fact_values_hash ON fact_values (hash);

-- Commands under way that asked for a part of a list only: what their answers do not name may still be there.
CREATE TABLE facts_partial (
  command INTEGER PRIMARY KEY, -- position at which it was queued
  items   INTEGER NOT NULL     -- 1 if it asked for some fields of each entry only: the others stay known
);

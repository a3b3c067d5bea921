-- The log of Rollcall. Nothing here is ever updated or deleted; SELECT * FROM history shows it readably.

-- A stream is the history of one thing; its stored name is kind || '-' || name.
CREATE TABLE streams (
  id   INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (name, kind)
) STRICT;

-- Stored names of events, kept once.
CREATE TABLE types (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- Who caused events, as known at that time, kept once. Addresses are in the sealed parts of events.
CREATE TABLE actors (
  id      INTEGER PRIMARY KEY,
  kind    TEXT NOT NULL,
  name_id TEXT NOT NULL,
  name    TEXT NOT NULL,
  role    TEXT NOT NULL,
  UNIQUE (name_id, kind, name, role)
) STRICT;

-- position counts from 1 without gaps, version from 0 within the stream. time is in microseconds since 1970, UTC.
-- actor is NULL for the device whose stream it is, 0 for nobody. data is open JSON; personal, secret and evidence
-- are ciphertext. leaf is the event's hash in the Merkle tree; files that are older than it lack it in old rows.
CREATE TABLE events (
  position    INTEGER PRIMARY KEY,
  stream      INTEGER NOT NULL REFERENCES streams (id),
  version     INTEGER NOT NULL,
  id          BLOB    NOT NULL,
  type        INTEGER NOT NULL REFERENCES types (id),
  time        INTEGER NOT NULL,
  actor       INTEGER,
  correlation BLOB,
  causation   BLOB,
  data        TEXT,
  personal    BLOB,
  secret      BLOB,
  evidence    BLOB,
  leaf        BLOB,
  UNIQUE (stream, version)
) STRICT;

-- The Merkle tree over the events, for proofs: its hashes (32 bytes each, in the order in which they became known,
-- as golang.org/x/mod/sumdb/tlog stores them), 32 in a block. A block is written when it is full; what comes after the
-- last one follows from the leaves in events.
CREATE TABLE hashes (
  block  INTEGER PRIMARY KEY,
  hashes BLOB NOT NULL
) STRICT;

CREATE VIEW heads AS
  SELECT kind || '-' || name AS stream, (SELECT max(version) FROM events WHERE events.stream = streams.id) AS version
  FROM streams;

CREATE VIEW history AS
  SELECT
    position,
    strftime('%Y-%m-%dT%H:%M:%S', events.time / 1000000, 'unixepoch') || printf('.%06dZ', events.time % 1000000) AS time,
    streams.kind || '-' || streams.name AS stream,
    version,
    types.name AS type,
    CASE WHEN events.actor IS NULL THEN 'device ' || streams.name
         ELSE trim(actors.kind || ' ' || actors.name_id || ' ' || actors.name) END AS actor,
    actors.role AS role,
    data,
    hex(events.id) AS id,
    hex(correlation) AS correlation,
    hex(causation) AS causation,
    length(personal) AS personal_bytes,
    length(secret) AS secret_bytes,
    length(evidence) AS evidence_bytes
  FROM events
  JOIN streams ON streams.id = events.stream
  JOIN types ON types.id = events.type
  LEFT JOIN actors ON actors.id = events.actor;

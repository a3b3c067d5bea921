-- What all views share. No view owns these tables, and they are never dropped: numbers never change.

CREATE TABLE IF NOT EXISTS names (
  vocabulary INTEGER NOT NULL,
  id         INTEGER NOT NULL,
  text       TEXT    NOT NULL,
  PRIMARY KEY (vocabulary, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS names_text ON names (vocabulary, text);

CREATE TABLE IF NOT EXISTS actors (
  id    INTEGER PRIMARY KEY,
  kind  TEXT NOT NULL,
  ident TEXT NOT NULL,
  name  TEXT NOT NULL,
  role  TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS actors_ident ON actors (ident, kind, name, role);

-- How far each view has come. The row is written in the transaction of the view's own rows.
CREATE TABLE IF NOT EXISTS checkpoints (
  view     TEXT    PRIMARY KEY,
  version  INTEGER NOT NULL,
  position INTEGER NOT NULL,
  time     INTEGER NOT NULL  -- the latest time of any event up to the position, in microseconds since 1970
);

-- The streams that a view could not digest.
CREATE TABLE IF NOT EXISTS parked (
  view     TEXT    NOT NULL,
  stream   TEXT    NOT NULL,
  position INTEGER NOT NULL,
  error    TEXT    NOT NULL,
  time     INTEGER NOT NULL,
  opened   INTEGER NOT NULL,  -- whether the event could be opened
  PRIMARY KEY (view, stream)
);

-- The devices that were given up, and have not spoken since.
CREATE TABLE IF NOT EXISTS presumed (
  device INTEGER PRIMARY KEY
);

-- Operators: the API tokens of people and programs.

CREATE TABLE operators (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  role    TEXT NOT NULL,
  hash    TEXT NOT NULL, -- SHA-256 of the token, hex
  expires INTEGER,
  created INTEGER NOT NULL,
  actor   INTEGER,       -- who made it
  revoked INTEGER
);
CREATE UNIQUE INDEX operators_hash ON operators (hash);

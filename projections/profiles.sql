-- Profiles: which versions of configuration profiles the library had at any moment.

CREATE TABLE profiles (
  id          TEXT NOT NULL,    -- PayloadIdentifier
  version     INTEGER NOT NULL,
  since       INTEGER NOT NULL,
  until       INTEGER,          -- another version came, or the profile was withdrawn
  actor       INTEGER,          -- who put it there
  revision    TEXT NOT NULL,
  uuid        TEXT NOT NULL,
  name        TEXT NOT NULL,
  description TEXT NOT NULL,
  types       TEXT NOT NULL,    -- JSON: of its payloads
  variables   TEXT NOT NULL,    -- JSON: names
  findings    TEXT NOT NULL,    -- JSON: what was wrong with it
  signer      TEXT NOT NULL,    -- SHA-256 of a certificate; empty if it is not signed
  signed_by   TEXT NOT NULL,
  PRIMARY KEY (id, version)
) WITHOUT ROWID;

-- Push certificates: the newest of each topic. Keys stay in the log.

CREATE TABLE pushcerts (
  topic       TEXT PRIMARY KEY,
  fingerprint TEXT    NOT NULL,
  not_before  INTEGER NOT NULL,
  not_after   INTEGER NOT NULL,
  stored      INTEGER NOT NULL,
  actor       INTEGER,
  renewals    INTEGER NOT NULL
);

-- Requests for push certificates, by the hash of the key that waits.
CREATE TABLE pushcert_requests (
  id          TEXT PRIMARY KEY,
  topic       TEXT NOT NULL, -- that is to be renewed; empty for a new one
  common_name TEXT NOT NULL,
  made        INTEGER NOT NULL,
  actor       INTEGER,
  answered    INTEGER
);

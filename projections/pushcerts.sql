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

-- Certificates by which devices speak: what was issued here, and what was pinned whoever issued it. Positions say when.

CREATE TABLE certificates (
  fingerprint TEXT PRIMARY KEY,
  place       TEXT    NOT NULL, -- by which the list is ordered: the end, then the fingerprint
  serial      TEXT    NOT NULL,
  not_before  INTEGER NOT NULL, -- 0 if not known
  not_after   INTEGER NOT NULL, -- 0 if not known
  first       INTEGER NOT NULL, -- position at which it was first heard of
  issued      INTEGER,          -- position; NULL if it was issued elsewhere
  issuer      TEXT    NOT NULL, -- fingerprint of the root
  public_key  TEXT    NOT NULL,
  session     TEXT    NOT NULL,
  road        TEXT    NOT NULL,
  invitation  TEXT    NOT NULL,
  follows     TEXT    NOT NULL, -- fingerprint of the certificate in whose place it comes
  command     TEXT    NOT NULL, -- CommandUUID of the InstallProfile that brought it
  intended    INTEGER,          -- number of the device that it was issued for
  attested    TEXT    NOT NULL DEFAULT '', -- what is vouched for about its key, JSON; empty if nothing is
  revoked     INTEGER,          -- position
  overdue     INTEGER,          -- position at which somebody was told that no other one comes in its place
  because     TEXT,
  reason      TEXT
);
CREATE INDEX certificates_place ON certificates (place);
CREATE INDEX certificates_follows ON certificates (follows);
CREATE INDEX certificates_intended ON certificates (intended);
CREATE INDEX certificates_issuer ON certificates (issuer);
CREATE INDEX certificates_serial ON certificates (serial);

CREATE TABLE certificate_pins (  -- for whom it spoke, and when
  fingerprint TEXT    NOT NULL,
  device      INTEGER NOT NULL,
  since       INTEGER NOT NULL,
  until       INTEGER,
  PRIMARY KEY (fingerprint, device, since)
) WITHOUT ROWID;
CREATE INDEX certificate_pins_device ON certificate_pins (device);

CREATE TABLE certificate_clones ( -- when it spoke for another device than its own
  fingerprint TEXT    NOT NULL,
  position    INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, position)
) WITHOUT ROWID;

CREATE TABLE roots (
  fingerprint TEXT    NOT NULL,
  since       INTEGER NOT NULL, -- position from which it was in force
  until       INTEGER,
  issuing     INTEGER NOT NULL, -- position from which it issued, this time
  issued      INTEGER,          -- position until which it did
  subject     TEXT    NOT NULL,
  not_before  INTEGER NOT NULL,
  not_after   INTEGER NOT NULL,
  source      TEXT    NOT NULL,
  algorithm   TEXT    NOT NULL, -- of its key, such as RSA 2048; empty if its certificate cannot be read
  PRIMARY KEY (fingerprint, since)
);

-- Ways in, and who came in by them. Positions say when: what was so at a moment is a comparison.

CREATE TABLE invitations (
  id        TEXT PRIMARY KEY,
  position  INTEGER NOT NULL, -- of its making
  actor     INTEGER,          -- who made it
  name      TEXT    NOT NULL,
  roads     TEXT    NOT NULL, -- with commas between them; empty for all
  rights    INTEGER NOT NULL, -- Apple's bits; 0 for all
  uses      INTEGER NOT NULL, -- 0 for any number
  expires   INTEGER NOT NULL, -- 0 for never
  grouping  TEXT    NOT NULL,
  note      TEXT    NOT NULL,
  withdrawn INTEGER,          -- position
  reason    TEXT
);

CREATE TABLE invitation_keys (
  invitation TEXT    NOT NULL,
  position   INTEGER NOT NULL,
  road       TEXT    NOT NULL,
  public_key TEXT    NOT NULL,
  PRIMARY KEY (invitation, position)
) WITHOUT ROWID;

-- Who signed in to get a challenge: when, and by what the log knows the challenge. Who it was stands in the log alone.
CREATE TABLE sign_ins (
  ticket TEXT PRIMARY KEY,
  at     INTEGER NOT NULL -- microseconds
) WITHOUT ROWID;

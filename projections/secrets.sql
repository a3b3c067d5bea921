-- Secrets: which ones the log holds of a device, and where. Their values are in the log alone.

CREATE TABLE secrets (
  device   INTEGER NOT NULL,
  kind     TEXT    NOT NULL,
  position INTEGER NOT NULL, -- of the event that holds it
  uuid     TEXT    NOT NULL, -- of the command that it is part of, or whose answer it is; empty if of none
  sure     INTEGER NOT NULL, -- 0 if it is part of a command that no device has seen yet, 2 if it is a password of one that was acknowledged, else 1,
                             -- and of a command that takes a password away, -2 or -1
  PRIMARY KEY (device, kind, position)
) WITHOUT ROWID;
CREATE TABLE secrets_past ( -- those that count no more: the log holds them all the same, until the device's key is destroyed
  device   INTEGER NOT NULL,
  kind     TEXT    NOT NULL,
  position INTEGER NOT NULL,
  uuid     TEXT    NOT NULL,
  until    INTEGER NOT NULL, -- position of the event that made it worthless
  PRIMARY KEY (device, kind, position)
) WITHOUT ROWID;
CREATE TABLE secrets_revealed (
  device INTEGER NOT NULL,
  kind   TEXT    NOT NULL,
  n      INTEGER NOT NULL,
  last   INTEGER NOT NULL, -- position
  PRIMARY KEY (device, kind)
) WITHOUT ROWID;
CREATE TABLE locations (
  device    INTEGER NOT NULL,
  day       TEXT    NOT NULL,
  position  INTEGER NOT NULL, -- of the event that holds one
  version   INTEGER NOT NULL, -- of the event in its stream
  forgotten INTEGER NOT NULL, -- 1 if the log says that the key of the day is destroyed
  PRIMARY KEY (device, day, position)
) WITHOUT ROWID;

-- Groups: what each was called and whom it chose at any moment. A span is a stretch of positions in which nothing of
-- this changed; until is NULL while it lasts.

CREATE TABLE groups (
  id          TEXT NOT NULL,
  since       INTEGER NOT NULL,
  until       INTEGER,
  created     INTEGER NOT NULL, -- position of its making
  actor       INTEGER,          -- who made it
  name        TEXT NOT NULL,
  description TEXT NOT NULL,
  rule        TEXT,             -- JSON; NULL if the group has members
  PRIMARY KEY (id, since)
) WITHOUT ROWID;

CREATE TABLE group_members (
  grouping TEXT NOT NULL,       -- the group's id
  device   INTEGER NOT NULL,
  since    INTEGER NOT NULL,
  until    INTEGER,
  PRIMARY KEY (grouping, device, since)
) WITHOUT ROWID;
CREATE INDEX group_members_device ON group_members (device);

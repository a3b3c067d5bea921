-- Declarations: what devices were told to be at any moment, whom it was assigned to, and what each channel was told of.

CREATE TABLE declarations (
  id        TEXT NOT NULL,
  since     INTEGER NOT NULL,
  until     INTEGER,
  created   INTEGER NOT NULL, -- position of its first content
  actor     INTEGER,          -- who gave it this content
  type      TEXT NOT NULL,
  token     TEXT NOT NULL,    -- ServerToken
  activates TEXT NOT NULL,    -- JSON: identifiers of configurations
  shown     TEXT NOT NULL,    -- JSON: the payload, its secrets masked
  PRIMARY KEY (id, since)
) WITHOUT ROWID;

CREATE TABLE declaration_groups (
  declaration TEXT NOT NULL,
  grouping    TEXT NOT NULL,    -- id of the group
  users       INTEGER NOT NULL, -- 1: the users of the group's devices, not the devices
  since       INTEGER NOT NULL,
  until       INTEGER,
  PRIMARY KEY (declaration, grouping, users, since)
) WITHOUT ROWID;
CREATE INDEX declaration_groups_group ON declaration_groups (grouping);

CREATE TABLE declaration_channels (
  device  INTEGER NOT NULL,
  channel INTEGER NOT NULL,     -- 0 for the device's own
  token   TEXT NOT NULL,        -- of the set that the channel was last told of
  PRIMARY KEY (device, channel)
) WITHOUT ROWID;

-- The fleet: which devices there are, and how they were at any moment. A span is a stretch of positions in
-- which nothing of this changed; until is NULL while it lasts.

CREATE TABLE fleet (
  device    INTEGER PRIMARY KEY,
  last_seen INTEGER, -- microseconds since 1970
  last_push INTEGER
);

CREATE TABLE fleet_spans (
  device        INTEGER NOT NULL,
  since         INTEGER NOT NULL,
  until         INTEGER,
  udid          TEXT NOT NULL,
  enrollment_id TEXT NOT NULL,
  serial        TEXT NOT NULL,
  imei          TEXT NOT NULL,
  meid          TEXT NOT NULL,
  name          TEXT NOT NULL,
  product       TEXT NOT NULL,
  model         TEXT NOT NULL,
  model_name    TEXT NOT NULL,
  platform      TEXT NOT NULL,
  os_version    TEXT NOT NULL,
  os_order      TEXT NOT NULL, -- the version in a form that sorts
  build         TEXT NOT NULL,
  topic         TEXT NOT NULL,
  status        TEXT NOT NULL,
  reason        TEXT NOT NULL,
  type          TEXT NOT NULL,
  generation    INTEGER NOT NULL,
  supervised    INTEGER,       -- 0, 1, or NULL if unknown
  user_approved INTEGER,
  awaiting      INTEGER,
  enrolled_at   INTEGER,
  PRIMARY KEY (device, since)
) WITHOUT ROWID;
CREATE INDEX fleet_udid ON fleet_spans (udid) WHERE udid <> '';
CREATE INDEX fleet_enrollment ON fleet_spans (enrollment_id) WHERE enrollment_id <> '';
CREATE INDEX fleet_serial ON fleet_spans (serial) WHERE serial <> '';
CREATE INDEX fleet_now ON fleet_spans (device) WHERE until IS NULL;

CREATE TABLE fleet_users (
  device             INTEGER NOT NULL,
  channel            INTEGER NOT NULL,
  since              INTEGER NOT NULL,
  until              INTEGER,
  user_id            TEXT NOT NULL,
  enrollment_user_id TEXT NOT NULL,
  short_name         TEXT NOT NULL,
  long_name          TEXT NOT NULL,
  status             TEXT NOT NULL,
  PRIMARY KEY (device, channel, since)
) WITHOUT ROWID;

CREATE TABLE fleet_users_seen (
  device    INTEGER NOT NULL,
  channel   INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  PRIMARY KEY (device, channel)
) WITHOUT ROWID;

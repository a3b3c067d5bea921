-- Wakeups: which channels should be pushed, and when. A row is a channel; state is its waking, as JSON.

CREATE TABLE wakeups (
  device  INTEGER NOT NULL,
  channel INTEGER NOT NULL, -- 0 for the device's own
  due     INTEGER,          -- microseconds since 1970, by the server's clock; NULL if no push is due
  state   TEXT    NOT NULL,
  PRIMARY KEY (device, channel)
) WITHOUT ROWID;
CREATE INDEX wakeups_due ON wakeups (due) WHERE due IS NOT NULL;

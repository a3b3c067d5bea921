-- Holds: what was kept from being delivered, by whom and why. until is NULL while it lasts; the hold of a command that
-- has ended is left as it was.

CREATE TABLE holds (
  device  INTEGER NOT NULL,
  command INTEGER NOT NULL, -- position at which it was queued; 0 for the hold of a queue
  channel INTEGER NOT NULL, -- of a user; 0 for the device's own, and for the queue of the device and all its users
  since   INTEGER NOT NULL,
  until   INTEGER,
  actor   INTEGER,
  reason  TEXT,
  PRIMARY KEY (device, command, channel, since)
) WITHOUT ROWID;

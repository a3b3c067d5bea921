-- Commands: what was ordered, how far it has come, what waits and in which order. A row is a command for one
-- channel; its key is the position at which it was queued, for the same UUID may go to many devices.

CREATE TABLE commands (
  position      INTEGER PRIMARY KEY,
  device        INTEGER NOT NULL,
  channel       INTEGER,          -- of a user; NULL for the device's own
  uuid          TEXT    NOT NULL,
  type          INTEGER NOT NULL,
  actor         INTEGER,          -- who ordered it; NULL for the device itself
  state         INTEGER NOT NULL, -- in the order of the code's states, from 1
  waiting       INTEGER NOT NULL, -- 1 until it ends
  priority      INTEGER NOT NULL,
  not_before    INTEGER,
  expires_at    INTEGER,
  supersede_key TEXT,
  reason        TEXT,
  no_push       INTEGER NOT NULL,
  deliveries    INTEGER NOT NULL,
  deferrals     INTEGER NOT NULL,
  delivered     INTEGER,          -- position of the first delivery
  handed        INTEGER,          -- of the latest
  deferred      INTEGER,          -- of the latest NotNow
  settled       INTEGER,          -- of its end
  because       TEXT
);
CREATE INDEX commands_uuid ON commands (uuid);
CREATE INDEX commands_device ON commands (device, position);
CREATE INDEX commands_waiting ON commands (device) WHERE waiting = 1;
-- Nearly all commands end acknowledged (4): whoever asks for the others finds them here.
CREATE INDEX commands_odd ON commands (state, position) WHERE state > 4;

-- How many commands have ended in each state; state 0 counts all that were ever queued.
CREATE TABLE command_counts (
  state INTEGER PRIMARY KEY,
  n     INTEGER NOT NULL
);

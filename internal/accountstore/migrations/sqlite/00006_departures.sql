-- +goose Up
CREATE TABLE departures (
    user_id TEXT    NOT NULL PRIMARY KEY, -- of an account that was deleted
    since   INTEGER NOT NULL,
    due_at  INTEGER NOT NULL, -- when to tell the gateway, or the lease of who does
    tries   INTEGER NOT NULL
) STRICT;
CREATE INDEX departures_due ON departures (due_at);

-- +goose Up
CREATE TABLE job_departures (
    owner  TEXT    NOT NULL PRIMARY KEY,
    since  INTEGER NOT NULL, -- microseconds since 1970, UTC
    due_at INTEGER NOT NULL -- when to look for his jobs
) STRICT;
CREATE INDEX job_departures_due ON job_departures (due_at);

-- Files that have ended the process which converted them, by their bytes.
-- +goose Up
CREATE TABLE job_quarantine (
    sha256   TEXT PRIMARY KEY NOT NULL,
    crashes  INTEGER NOT NULL,
    code     TEXT NOT NULL,
    attempt  TEXT NOT NULL, -- the last that was counted: job/number
    last_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX job_quarantine_last ON job_quarantine (last_at);

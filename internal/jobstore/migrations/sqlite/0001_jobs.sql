-- Times are microseconds since the Unix epoch by the database's clock; 0 is never.
-- +goose Up
CREATE TABLE jobs (
    id                 TEXT PRIMARY KEY NOT NULL,
    owner              TEXT NOT NULL,
    notify_to          TEXT NOT NULL,
    file_name          TEXT NOT NULL,
    source_bytes       INTEGER NOT NULL,
    source_sha256      TEXT NOT NULL,
    settings           TEXT NOT NULL, -- JSON
    state              TEXT NOT NULL,
    attempt            INTEGER NOT NULL,
    tries              INTEGER NOT NULL,
    worker             TEXT NOT NULL,
    progress           INTEGER NOT NULL, -- microseconds of the output
    progress_total     INTEGER NOT NULL,
    failure_code       TEXT NOT NULL,
    failure_detail     TEXT NOT NULL,
    result             TEXT NOT NULL, -- JSON, or nothing
    version            INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    not_before         INTEGER NOT NULL,
    started_at         INTEGER NOT NULL,
    ended_at           INTEGER NOT NULL,
    -- queued: put into the queue; running: the lease ends; ended: the files expire;
    -- expired: since
    due_at             INTEGER NOT NULL,
    notice_at          INTEGER NOT NULL, -- last time the notice was asked for; 0: nothing to tell
    notice_lease_until INTEGER NOT NULL,
    notified_at        INTEGER NOT NULL,
    notice_error       TEXT NOT NULL -- why telling was given up
) STRICT;
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_owner_state ON jobs (owner, state, id);
CREATE INDEX jobs_state ON jobs (state, id);
CREATE INDEX jobs_due ON jobs (state, due_at);
CREATE INDEX jobs_notice ON jobs (notice_at);

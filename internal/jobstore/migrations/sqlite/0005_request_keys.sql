-- +goose Up
CREATE TABLE request_keys (
    owner      TEXT NOT NULL,
    name       TEXT NOT NULL, -- SHA-256 of the key
    head       TEXT NOT NULL,
    body       TEXT NOT NULL,
    bytes      INTEGER NOT NULL, -- of the body; -1: not known
    holder     TEXT NOT NULL,
    held_until INTEGER NOT NULL,
    job        TEXT NOT NULL, -- that was made or changed, or nothing
    status     INTEGER NOT NULL, -- 0: no answer yet
    header     TEXT NOT NULL, -- JSON, or nothing
    answer     TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT;
CREATE INDEX request_keys_expiry ON request_keys (expires_at);

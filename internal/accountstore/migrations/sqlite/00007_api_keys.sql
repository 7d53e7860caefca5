-- +goose Up
CREATE TABLE api_keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    prefix     TEXT    NOT NULL, -- the beginning of the key, for people
    hash       TEXT    NOT NULL UNIQUE, -- SHA-256 of the key
    scopes     TEXT    NOT NULL, -- with spaces between
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL -- to the minute; 0: never
) STRICT;
CREATE INDEX api_keys_user ON api_keys (user_id);

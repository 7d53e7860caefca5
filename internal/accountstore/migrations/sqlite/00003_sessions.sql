-- +goose Up
CREATE TABLE sessions (
    id         TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL,
    family     TEXT    NOT NULL UNIQUE, -- SHA-256 of what all its refresh tokens share
    token      TEXT    NOT NULL, -- SHA-256 of the refresh token
    replaced   TEXT    NOT NULL, -- and of the one before
    rotated_at INTEGER NOT NULL,
    idle       INTEGER NOT NULL, -- how long it lasts without use
    address    TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL, -- at the latest
    ended_at   INTEGER NOT NULL -- before its time; 0: not
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id, used_at);
CREATE INDEX sessions_ends ON sessions (ends_at);

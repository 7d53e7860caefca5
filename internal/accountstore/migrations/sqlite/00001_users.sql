-- +goose Up
CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    -- The address as given, and what makes it the same as another.
    email         TEXT    NOT NULL,
    email_key     TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    -- Microseconds since 1970, UTC.
    created_at    INTEGER NOT NULL,
    locked_at     INTEGER NULL
) STRICT;

-- +goose Up
CREATE TABLE signing_keys (
    number     INTEGER NOT NULL PRIMARY KEY,
    kid        TEXT    NOT NULL UNIQUE,
    sealed     BLOB    NOT NULL, -- the private key, encrypted
    created_at INTEGER NOT NULL,
    signs_at   INTEGER NOT NULL -- it may sign from then on
) STRICT;

-- +goose Up
CREATE TABLE job_database (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    id    TEXT NOT NULL,
    walks INTEGER NOT NULL -- through the bucket
) STRICT;

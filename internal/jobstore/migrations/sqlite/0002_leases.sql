-- +goose Up
CREATE TABLE job_leases (
    name   TEXT PRIMARY KEY NOT NULL,
    holder TEXT NOT NULL,
    ends   INTEGER NOT NULL
) STRICT;

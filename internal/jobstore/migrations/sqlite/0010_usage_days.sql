-- +goose Up
CREATE TABLE usage_days (
    owner TEXT NOT NULL,
    day   INTEGER NOT NULL, -- since the Unix epoch
    bytes INTEGER NOT NULL, -- of uploads that have come
    PRIMARY KEY (day, owner)
) STRICT;

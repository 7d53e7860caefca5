-- +goose Up
-- Of the upload: W3C traceparent; empty: none.
ALTER TABLE jobs ADD COLUMN trace TEXT NOT NULL DEFAULT '';

-- +goose Up
ALTER TABLE jobs ADD COLUMN stored INTEGER NOT NULL DEFAULT 0; -- bytes that its files take in the bucket
CREATE INDEX jobs_stored ON jobs (owner, stored) WHERE stored > 0;

-- +goose Up
ALTER TABLE jobs
    ADD COLUMN stored BIGINT NOT NULL DEFAULT 0 COMMENT 'bytes that its files take in the bucket',
    ADD KEY jobs_stored (owner, stored);

-- +goose Up
ALTER TABLE jobs
    ADD COLUMN twin CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'owner, bytes and settings; NULL: stands alone',
    ADD COLUMN kept BIGINT NOT NULL DEFAULT 0 COMMENT 'how long the files of a success are kept, microseconds',
    ADD UNIQUE KEY jobs_twin (twin);

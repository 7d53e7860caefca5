-- +goose Up
ALTER TABLE jobs ADD COLUMN keep_for BIGINT NOT NULL DEFAULT 0 COMMENT 'longest time that the owner wants the files kept, microseconds; 0: no wish';

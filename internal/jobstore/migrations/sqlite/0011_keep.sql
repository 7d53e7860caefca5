-- +goose Up
-- Longest time that the owner wants the files kept, microseconds; 0: no wish.
ALTER TABLE jobs ADD COLUMN keep_for INTEGER NOT NULL DEFAULT 0;

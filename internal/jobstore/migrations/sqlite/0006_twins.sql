-- +goose Up
ALTER TABLE jobs ADD COLUMN twin TEXT; -- owner, bytes and settings; NULL: stands alone
ALTER TABLE jobs ADD COLUMN kept INTEGER NOT NULL DEFAULT 0; -- how long the files of a success are kept, microseconds
CREATE UNIQUE INDEX jobs_twin ON jobs (twin);

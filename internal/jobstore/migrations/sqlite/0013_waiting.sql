-- To count what waits in each lane, and to find the oldest, takes the index alone now.
-- +goose Up
DROP INDEX jobs_waiting;
CREATE INDEX jobs_waiting ON jobs (placed, owner, due_at, lane, not_before, created_at) WHERE state = 'queued';

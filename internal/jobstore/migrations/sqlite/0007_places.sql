-- +goose Up
ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT '';
-- queued: 1: the queue knows it; 0: it waits for its owner's turn since due_at
ALTER TABLE jobs ADD COLUMN placed INTEGER NOT NULL DEFAULT 1;
CREATE INDEX jobs_waiting ON jobs (placed, owner, due_at) WHERE state = 'queued';

-- +goose Up
CREATE INDEX jobs_told ON jobs (due_at) WHERE state = 'queued' AND placed = 1;

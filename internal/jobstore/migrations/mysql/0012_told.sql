-- +goose Up
ALTER TABLE jobs ADD KEY jobs_told (state, placed, due_at);

-- +goose Up
ALTER TABLE jobs
    ADD COLUMN lane VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    ADD COLUMN placed TINYINT NOT NULL DEFAULT 1 COMMENT 'queued: 1: the queue knows it; 0: it waits for its owner''s turn since due_at',
    ADD KEY jobs_waiting (state, placed, owner, due_at);

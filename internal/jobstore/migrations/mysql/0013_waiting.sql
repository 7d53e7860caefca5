-- To count what waits in each lane, and to find the oldest, takes the index alone now. Programs of before name it too, so
-- it is there all the time.
-- +goose Up
ALTER TABLE jobs
    DROP KEY jobs_waiting,
    ADD KEY jobs_waiting (state, placed, owner, due_at, lane, not_before, created_at);

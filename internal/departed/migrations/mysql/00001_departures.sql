-- +goose Up
CREATE TABLE IF NOT EXISTS job_departures (
    owner  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    since  BIGINT NOT NULL COMMENT 'microseconds since 1970, UTC',
    due_at BIGINT NOT NULL COMMENT 'when to look for his jobs',
    PRIMARY KEY (owner),
    KEY job_departures_due (due_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Up
CREATE TABLE IF NOT EXISTS departures (
    user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'of an account that was deleted',
    since   BIGINT   NOT NULL,
    due_at  BIGINT   NOT NULL COMMENT 'when to tell the gateway, or the lease of who does',
    tries   INT      NOT NULL,
    PRIMARY KEY (user_id),
    KEY departures_due (due_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

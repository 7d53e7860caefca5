-- +goose Up
CREATE TABLE IF NOT EXISTS usage_days (
    owner VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    day   INT NOT NULL COMMENT 'since the Unix epoch',
    bytes BIGINT NOT NULL COMMENT 'of uploads that have come',
    PRIMARY KEY (day, owner)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

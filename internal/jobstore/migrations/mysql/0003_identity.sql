-- +goose Up
CREATE TABLE IF NOT EXISTS job_database (
    one   TINYINT NOT NULL COMMENT 'always 1',
    id    CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    walks BIGINT NOT NULL COMMENT 'through the bucket',
    PRIMARY KEY (one)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

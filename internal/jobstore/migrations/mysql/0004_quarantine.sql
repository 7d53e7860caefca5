-- Files that have ended the process which converted them, by their bytes.
-- +goose Up
CREATE TABLE IF NOT EXISTS job_quarantine (
    sha256   CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    crashes  INT NOT NULL,
    code     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    attempt  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'the last that was counted: job/number',
    last_at  BIGINT NOT NULL,
    PRIMARY KEY (sha256),
    KEY job_quarantine_last (last_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- +goose Up
CREATE TABLE IF NOT EXISTS request_keys (
    owner      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name       CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'SHA-256 of the key',
    head       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    body       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    bytes      BIGINT NOT NULL COMMENT 'of the body; -1: not known',
    holder     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    held_until BIGINT NOT NULL,
    job        VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'that was made or changed, or nothing',
    status     INT NOT NULL COMMENT '0: no answer yet',
    header     TEXT NOT NULL COMMENT 'JSON, or nothing',
    answer     MEDIUMTEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (owner, name),
    KEY request_keys_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

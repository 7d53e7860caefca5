-- +goose Up
CREATE TABLE IF NOT EXISTS sessions (
    id         CHAR(36)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id    CHAR(36)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    family     CHAR(43)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'SHA-256 of what all its refresh tokens share',
    token      CHAR(43)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'SHA-256 of the refresh token',
    replaced   VARCHAR(43)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'and of the one before',
    rotated_at BIGINT       NOT NULL,
    idle       BIGINT       NOT NULL COMMENT 'how long it lasts without use',
    address    VARCHAR(64)  NOT NULL,
    agent      VARCHAR(255) NOT NULL,
    created_at BIGINT       NOT NULL,
    used_at    BIGINT       NOT NULL,
    ends_at    BIGINT       NOT NULL COMMENT 'at the latest',
    ended_at   BIGINT       NOT NULL COMMENT 'before its time; 0: not',
    PRIMARY KEY (id),
    UNIQUE KEY sessions_family (family),
    KEY sessions_user (user_id, used_at),
    KEY sessions_ends (ends_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

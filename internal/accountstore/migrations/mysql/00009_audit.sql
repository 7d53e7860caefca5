-- +goose Up
CREATE TABLE IF NOT EXISTS account_audit (
    id          CHAR(36)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    at          BIGINT       NOT NULL,
    actor       VARCHAR(36)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'empty: the command',
    actor_email VARCHAR(254) NOT NULL,
    place       VARCHAR(64)  NOT NULL,
    action      VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    subject     VARCHAR(36)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    detail      VARCHAR(500) NOT NULL,
    PRIMARY KEY (id),
    KEY account_audit_subject (subject, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

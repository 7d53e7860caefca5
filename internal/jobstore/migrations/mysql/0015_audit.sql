-- What administrators did to the jobs of others.
-- +goose Up
CREATE TABLE IF NOT EXISTS job_audit (
    id          CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    at          BIGINT NOT NULL,
    actor       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    actor_email VARCHAR(255) NOT NULL,
    place       VARCHAR(64) NOT NULL,
    action      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    job         VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'empty: the list of all',
    owner       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    detail      VARCHAR(500) NOT NULL,
    once        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'what makes two acts one entry',
    PRIMARY KEY (id),
    UNIQUE KEY job_audit_once (once),
    KEY job_audit_at (at),
    KEY job_audit_actor (actor, id),
    KEY job_audit_job (job, id),
    KEY job_audit_owner (owner, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- +goose Up
CREATE TABLE IF NOT EXISTS account_mails (
    id         CHAR(36)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id    VARCHAR(36)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'empty for nobody',
    email      VARCHAR(254) NOT NULL,
    email_key  VARCHAR(254) NOT NULL,
    kind       VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    token      CHAR(43)     CHARACTER SET ascii COLLATE ascii_bin NULL COMMENT 'SHA-256 of the secret in its link',
    created_at BIGINT       NOT NULL,
    expires_at BIGINT       NOT NULL,
    due_at     BIGINT       NOT NULL COMMENT 'when to send it, or the lease of who does; 0: not, or not any more',
    tries      INT          NOT NULL,
    sent_at    BIGINT       NOT NULL,
    used_at    BIGINT       NOT NULL COMMENT 'its link',
    failure    VARCHAR(255) NOT NULL COMMENT 'why it was not sent',
    PRIMARY KEY (id),
    UNIQUE KEY account_mails_token (token),
    KEY account_mails_due (due_at),
    KEY account_mails_email (email_key, kind, created_at),
    KEY account_mails_user (user_id),
    KEY account_mails_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Up
CREATE TABLE IF NOT EXISTS identities (
    id         CHAR(36)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    user_id    CHAR(36)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    issuer     VARBINARY(255) NOT NULL COMMENT 'the provider of OpenID Connect; equal to the byte',
    subject    VARBINARY(255) NOT NULL COMMENT 'how it calls the user',
    email      VARCHAR(254) NOT NULL COMMENT 'for people; nothing is decided by it',
    created_at BIGINT       NOT NULL,
    used_at    BIGINT       NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY identities_subject (issuer, subject),
    KEY identities_user (user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

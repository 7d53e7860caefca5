-- +goose Up
-- IF NOT EXISTS: MySQL does not undo a table when what follows it fails.
CREATE TABLE IF NOT EXISTS users (
    id            CHAR(36)     NOT NULL,
    -- The address as given, and what makes it the same as another.
    email         VARCHAR(254) NOT NULL,
    email_key     VARCHAR(254) NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    role          VARCHAR(16)  NOT NULL,
    -- Microseconds since 1970, UTC.
    created_at    BIGINT       NOT NULL,
    locked_at     BIGINT       NULL,
    PRIMARY KEY (id),
    UNIQUE KEY users_email_key (email_key)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Up
CREATE TABLE IF NOT EXISTS signing_keys (
    number     BIGINT       NOT NULL,
    kid        VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sealed     VARBINARY(512) NOT NULL COMMENT 'the private key, encrypted',
    created_at BIGINT       NOT NULL,
    signs_at   BIGINT       NOT NULL COMMENT 'it may sign from then on',
    PRIMARY KEY (number),
    UNIQUE KEY signing_keys_kid (kid)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

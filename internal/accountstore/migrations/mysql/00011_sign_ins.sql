-- +goose Up
CREATE TABLE IF NOT EXISTS sign_ins (
    id         CHAR(43)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'SHA-256 of the state, or of the code for a program',
    sealed     VARBINARY(8192) NOT NULL COMMENT 'what was begun',
    expires_at BIGINT          NOT NULL,
    PRIMARY KEY (id),
    KEY sign_ins_expires (expires_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

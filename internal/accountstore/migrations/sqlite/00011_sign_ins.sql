-- +goose Up
CREATE TABLE sign_ins (
    id         TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the state, or of the code for a program
    sealed     BLOB    NOT NULL, -- what was begun
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sign_ins_expires ON sign_ins (expires_at);

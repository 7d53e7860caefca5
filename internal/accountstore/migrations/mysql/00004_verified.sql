-- +goose Up
ALTER TABLE users ADD COLUMN verified_at BIGINT NULL COMMENT 'the address, by a mail';

-- +goose Up
ALTER TABLE users ADD COLUMN verified_at INTEGER NULL; -- the address, by a mail

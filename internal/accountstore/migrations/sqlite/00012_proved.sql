-- +goose Up
ALTER TABLE sessions ADD COLUMN proved_at INTEGER NOT NULL DEFAULT 0; -- when a provider of OpenID Connect has asked who the user is; 0: not

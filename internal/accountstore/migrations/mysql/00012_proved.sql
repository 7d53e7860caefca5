-- +goose Up
ALTER TABLE sessions ADD COLUMN proved_at BIGINT NOT NULL DEFAULT 0 COMMENT 'when a provider of OpenID Connect has asked who the user is; 0: not';

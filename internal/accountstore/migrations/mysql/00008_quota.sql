-- +goose Up
ALTER TABLE users ADD COLUMN quota VARCHAR(255) NULL COMMENT 'JSON; what is not there is as for all';

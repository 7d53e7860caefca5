-- +goose Up
ALTER TABLE users ADD COLUMN quota TEXT NULL; -- JSON; what is not there is as for all

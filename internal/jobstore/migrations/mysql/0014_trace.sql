-- +goose Up
ALTER TABLE jobs ADD COLUMN trace VARCHAR(55) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '' COMMENT 'of the upload: W3C traceparent; empty: none';

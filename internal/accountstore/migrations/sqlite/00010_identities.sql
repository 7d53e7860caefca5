-- +goose Up
CREATE TABLE identities (
    id         TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL,
    issuer     TEXT    NOT NULL, -- the provider of OpenID Connect
    subject    TEXT    NOT NULL, -- how it calls the user
    email      TEXT    NOT NULL, -- for people; nothing is decided by it
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX identities_user ON identities (user_id);

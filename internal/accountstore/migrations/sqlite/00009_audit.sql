-- +goose Up
CREATE TABLE account_audit (
    id          TEXT    NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL, -- empty: the command
    actor_email TEXT    NOT NULL,
    place       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    detail      TEXT    NOT NULL
) STRICT;
CREATE INDEX account_audit_subject ON account_audit (subject, id);

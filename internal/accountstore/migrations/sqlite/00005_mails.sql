-- +goose Up
CREATE TABLE account_mails (
    id         TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL, -- empty for nobody
    email      TEXT    NOT NULL,
    email_key  TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    token      TEXT    NULL UNIQUE, -- SHA-256 of the secret in its link
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL, -- when to send it, or the lease of who does; 0: not, or not any more
    tries      INTEGER NOT NULL,
    sent_at    INTEGER NOT NULL,
    used_at    INTEGER NOT NULL, -- its link
    failure    TEXT    NOT NULL -- why it was not sent
) STRICT;
CREATE INDEX account_mails_due ON account_mails (due_at);
CREATE INDEX account_mails_email ON account_mails (email_key, kind, created_at);
CREATE INDEX account_mails_user ON account_mails (user_id);
CREATE INDEX account_mails_expires ON account_mails (expires_at);

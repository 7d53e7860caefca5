-- What administrators did to the jobs of others.
-- +goose Up
CREATE TABLE job_audit (
    id          TEXT PRIMARY KEY NOT NULL,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    actor_email TEXT NOT NULL,
    place       TEXT NOT NULL,
    action      TEXT NOT NULL,
    job         TEXT NOT NULL, -- empty: the list of all
    owner       TEXT NOT NULL,
    detail      TEXT NOT NULL,
    once        TEXT NOT NULL -- what makes two acts one entry
) STRICT;
CREATE UNIQUE INDEX job_audit_once ON job_audit (once);
CREATE INDEX job_audit_at ON job_audit (at);
CREATE INDEX job_audit_actor ON job_audit (actor, id);
CREATE INDEX job_audit_job ON job_audit (job, id);
CREATE INDEX job_audit_owner ON job_audit (owner, id);

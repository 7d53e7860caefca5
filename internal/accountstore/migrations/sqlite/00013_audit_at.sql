-- +goose Up
CREATE INDEX account_audit_at ON account_audit (at);

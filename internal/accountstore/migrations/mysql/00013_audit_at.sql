-- +goose Up
ALTER TABLE account_audit ADD KEY account_audit_at (at);

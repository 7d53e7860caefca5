-- +goose Up
UPDATE jobs SET stored = CASE state
        WHEN 'succeeded' THEN COALESCE(json_extract(result, '$.bytes'), 0)
        ELSE source_bytes END
    WHERE stored = 0 AND state IN ('queued', 'running', 'failed', 'succeeded');

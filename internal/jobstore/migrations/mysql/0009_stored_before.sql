-- +goose Up
UPDATE jobs SET stored = CASE state
        WHEN 'succeeded' THEN COALESCE(CAST(JSON_EXTRACT(result, '$.bytes') AS SIGNED), 0)
        ELSE source_bytes END
    WHERE stored = 0 AND state IN ('queued', 'running', 'failed', 'succeeded');

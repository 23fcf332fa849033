-- The quarantine with the device that each row is of: what came under a token that somebody registered later is theirs.
CREATE VIEW quarantine_of_devices AS
SELECT q.id, q.received_at, d.id AS device_id, d.owner_id, q.topic, q.payload, q.reason, q.detail
FROM quarantine AS q
LEFT JOIN device_tokens AS t
    ON q.device_id IS NULL
    AND t.hash = q.token_hash
    AND t.revoked_at IS NULL
    AND (t.expires_at IS NULL OR t.expires_at > now())
LEFT JOIN devices AS d ON d.id = coalesce(q.device_id, t.device_id) AND d.archived_at IS NULL;

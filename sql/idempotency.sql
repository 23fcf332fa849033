-- Requests that carried an Idempotency-Key.

-- name: claim_idempotency_key(device_id, key, request_hash)$
-- Take a key, and return whether it was free; waits for a request with the same key that is being worked on.
WITH claimed AS (
    INSERT INTO idempotency_keys (device_id, key, request_hash)
    VALUES (:device_id, :key, :request_hash)
    ON CONFLICT (device_id, key) DO NOTHING
    RETURNING 1
)
SELECT EXISTS (SELECT FROM claimed);

-- name: idempotent_answer(device_id, key)^
-- What was answered to a key, and to which request.
SELECT request_hash, status, answer FROM idempotency_keys WHERE device_id = :device_id AND key = :key;

-- name: keep_idempotent_answer(device_id, key, status, answer)!
-- Remember what is answered; in the transaction that claimed the key.
UPDATE idempotency_keys SET status = :status, answer = :answer WHERE device_id = :device_id AND key = :key;

-- name: delete_old_idempotency_keys()!
-- Clients repeat a request within minutes, not days.
DELETE FROM idempotency_keys WHERE created_at < now() - INTERVAL '24 hours';

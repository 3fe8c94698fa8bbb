-- Whose turn it is: the highest priority, then the account with the fewest songs in the making, then the one that was
-- served longest ago, then its first song. No account has more in the making than its tier allows.
--
-- `tiers` and `concurrencies` belong together; an account of a tier that is not among them counts as the first.
CREATE FUNCTION claim_song(lease_s double precision, tiers text[], concurrencies integer[])
RETURNS SETOF songs LANGUAGE plpgsql AS $$
DECLARE
    chosen record;
BEGIN
    -- One claim at a time, at whichever replica: what is counted below is then as the claim before left it, since
    -- every statement of a function sees what was committed before the statement began.
    PERFORM pg_advisory_xact_lock(hashtext('acesteps gateway claim'));
    LOOP
        WITH RECURSIVE waiting AS (
            (SELECT account_id FROM songs WHERE state = 'QUEUED' ORDER BY account_id LIMIT 1)
            UNION ALL
            SELECT (
                SELECT s.account_id FROM songs s
                WHERE s.state = 'QUEUED' AND s.account_id > w.account_id ORDER BY s.account_id LIMIT 1
            ) FROM waiting w WHERE w.account_id IS NOT NULL
        )
        SELECT first.id, a.id AS account_id INTO chosen
        FROM waiting w
        JOIN accounts a ON a.id = w.account_id
        LEFT JOIN unnest(tiers, concurrencies) AS t (name, most) ON t.name = a.tier
        CROSS JOIN LATERAL (
            SELECT count(*) AS running FROM songs s WHERE s.account_id = a.id AND s.state = 'RUNNING'
        ) now
        CROSS JOIN LATERAL (
            SELECT s.id, s.priority, s.run_at FROM songs s
            WHERE s.account_id = a.id AND s.state = 'QUEUED' AND s.run_at <= clock_timestamp()
            ORDER BY s.priority DESC, s.run_at, s.id LIMIT 1
        ) first
        WHERE now.running < coalesce(t.most, concurrencies[1])
        ORDER BY first.priority DESC, now.running, a.last_claimed_at, first.run_at, first.id
        LIMIT 1;
        EXIT WHEN NOT FOUND;
        RETURN QUERY
            UPDATE songs SET state = 'RUNNING', attempt = attempt + 1, started_at = clock_timestamp(),
                lease_expires_at = clock_timestamp() + make_interval(secs => lease_s), revision = revision + 1
            WHERE id = chosen.id AND state = 'QUEUED' RETURNING *;
        IF FOUND THEN
            UPDATE accounts SET last_claimed_at = clock_timestamp() WHERE id = chosen.account_id;
            EXIT;
        END IF;
        -- It was cancelled at this moment: look again.
    END LOOP;
END $$;

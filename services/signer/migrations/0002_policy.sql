-- Quotas, the switch, the audit; and what the role that runs the signer may do with all of it. The owner of the
-- schema migrates and does nothing else; `acesteps_signer` runs, and can change no history.

-- Gapless, in the order of permitting: the permit that is `quota` numbers back says when the next one may be.
ALTER TABLE permits ADD COLUMN number bigint, ADD COLUMN creator_number bigint;
UPDATE permits SET number = counted.number, creator_number = counted.creator_number
  FROM (SELECT audio_hash,
               row_number() OVER (ORDER BY permitted_at, audio_hash) AS number,
               row_number() OVER (PARTITION BY recipient ORDER BY permitted_at, audio_hash) AS creator_number
          FROM permits) AS counted
 WHERE counted.audio_hash = permits.audio_hash;
ALTER TABLE permits ALTER COLUMN number SET NOT NULL, ALTER COLUMN creator_number SET NOT NULL;
CREATE UNIQUE INDEX permits_by_number ON permits (number);
CREATE UNIQUE INDEX permits_by_creator ON permits (recipient, creator_number);

-- One row: whoever permits something new holds its lock, so that numbers have no gaps, no quota is overshot, and
-- nothing new is permitted once a pause was answered. A row, not an advisory lock, which any role could take.
CREATE TABLE switch (
    one_row      boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    paused_since timestamptz,
    reason       text CHECK (char_length(reason) BETWEEN 1 AND 200),
    CHECK ((paused_since IS NULL) = (reason IS NULL))
);
INSERT INTO switch DEFAULT VALUES;

-- Every use of the switch.
CREATE TABLE switch_uses (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    caller text NOT NULL CHECK (char_length(caller) <= 256),
    use    text NOT NULL CHECK (use IN ('pause', 'resume')),
    reason text CHECK (char_length(reason) BETWEEN 1 AND 200)
);

-- Every request for a permit. What was asked for is there as far as it was well formed; no row exceeds 2 KiB,
-- whatever a caller sends.
CREATE TABLE audit (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    caller       text NOT NULL CHECK (char_length(caller) <= 256),
    verdict      text NOT NULL CHECK (verdict IN ('permitted', 'repeated', 'refused')),
    reason       text CHECK (char_length(reason) <= 64),
    rule         text CHECK (char_length(rule) <= 64),
    audio_hash   bytea CHECK (octet_length(audio_hash) = 32),
    recipient    bytea CHECK (octet_length(recipient) = 20),
    metadata_uri text CHECK (char_length(metadata_uri) <= 66),
    format       text CHECK (format IN ('eip712', 'packed')),
    chain_id     bigint CHECK (chain_id > 0),
    contract     bytea CHECK (octet_length(contract) = 20),
    song_id      text CHECK (char_length(song_id) <= 128),
    signer       bytea CHECK (octet_length(signer) = 20),
    deadline     timestamptz,
    CHECK ((verdict = 'refused') = (reason IS NOT NULL)),
    CHECK ((verdict = 'refused') = (signer IS NULL))
);
CREATE INDEX audit_by_audio ON audit (audio_hash, id);
CREATE INDEX audit_by_recipient ON audit (recipient, id);
CREATE INDEX audit_by_time ON audit USING brin (at);

-- Privileges keep the running signer from it, this keeps everybody from doing it by mistake.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege'; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON switch_uses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON permits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Finds or makes the permit of one identity, in one round trip. `outcome` is one of
--   reserved: committed, to be signed     stands: it has this signature     another: the audio is taken
--   paused: see `detail`                  creator, overall: that quota is used up until `free_at`
-- A quota of 0 is none. Only what is new counts; what is renewed had been counted.
CREATE FUNCTION reserve(
    hash bytea, song text, to_ bytea, uri text, fmt text, chain bigint, contract_ bytea,
    until timestamptz, now_ timestamptz, key bytea, creator_quota bigint, daily_quota bigint,
    OUT outcome text, OUT detail text, OUT deadline timestamptz, OUT signature bytea, OUT signer bytea,
    OUT free_at timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
    held signer.permits;
    last bigint;
    last_of_creator bigint;
    moment timestamptz;
BEGIN
    SELECT 'paused', s.reason INTO outcome, detail FROM signer.switch s WHERE s.paused_since IS NOT NULL;
    IF outcome IS NOT NULL THEN RETURN; END IF;

    SELECT * INTO held FROM signer.permits p WHERE p.audio_hash = hash;
    IF held.audio_hash IS NULL OR held.deadline < now_ OR held.signer <> key THEN
        -- It may be new, or to be renewed: one at a time from here, and what was read is read again.
        SELECT 'paused', s.reason INTO outcome, detail FROM signer.switch s FOR NO KEY UPDATE;
        IF detail IS NOT NULL THEN RETURN; END IF;
        outcome := NULL;
        SELECT * INTO held FROM signer.permits p WHERE p.audio_hash = hash;
    END IF;

    IF held.audio_hash IS NOT NULL THEN
        IF (held.recipient, held.metadata_uri, held.format, held.chain_id, held.contract)
           IS DISTINCT FROM (to_, uri, fmt, chain, contract_) THEN
            outcome := 'another';
        ELSIF held.deadline < now_ OR held.signer <> key THEN
            UPDATE signer.permits AS p
               SET deadline = until, signature = NULL, signer = NULL, signed_at = NULL WHERE p.audio_hash = hash;
            outcome := 'reserved';
            deadline := until;
        ELSE
            outcome := CASE WHEN held.signature IS NULL THEN 'reserved' ELSE 'stands' END;
            deadline := held.deadline;
            signature := held.signature;
            signer := held.signer;
        END IF;
    ELSE
        SELECT coalesce(max(p.number), 0) INTO last FROM signer.permits p;
        SELECT coalesce(max(p.creator_number), 0) INTO last_of_creator FROM signer.permits p WHERE p.recipient = to_;
        moment := clock_timestamp();
        SELECT 'creator', p.permitted_at + interval '1 day' INTO outcome, free_at FROM signer.permits p
         WHERE creator_quota > 0 AND p.recipient = to_ AND p.creator_number = last_of_creator + 1 - creator_quota
           AND p.permitted_at > moment - interval '1 day';
        IF outcome IS NOT NULL THEN RETURN; END IF;
        SELECT 'overall', p.permitted_at + interval '1 day' INTO outcome, free_at FROM signer.permits p
         WHERE daily_quota > 0 AND p.number = last + 1 - daily_quota AND p.permitted_at > moment - interval '1 day';
        IF outcome IS NOT NULL THEN RETURN; END IF;
        INSERT INTO signer.permits (audio_hash, song_id, recipient, metadata_uri, format, chain_id, contract, deadline,
                                    permitted_at, number, creator_number)
        VALUES (hash, song, to_, uri, fmt, chain, contract_, until, moment, last + 1, last_of_creator + 1);
        outcome := 'reserved';
        deadline := until;
    END IF;
    -- The lock is not held while a disk turns: a reservation is committed here, and made durable by the flush of the
    -- commit that stores its signature, before which nothing leaves the signer.
    PERFORM set_config('synchronous_commit', 'off', true);
END $$;

GRANT USAGE ON SCHEMA signer TO acesteps_signer;
GRANT SELECT ON ALL TABLES IN SCHEMA signer TO acesteps_signer;
GRANT INSERT (audio_hash, song_id, recipient, metadata_uri, format, chain_id, contract, deadline, permitted_at,
              number, creator_number),
      UPDATE (deadline, signature, signer, signed_at) ON permits TO acesteps_signer;
GRANT UPDATE (paused_since, reason) ON switch TO acesteps_signer;
GRANT INSERT (caller, use, reason) ON switch_uses TO acesteps_signer;
GRANT INSERT (caller, verdict, reason, rule, audio_hash, recipient, metadata_uri, format, chain_id, contract,
              song_id, signer, deadline) ON audit TO acesteps_signer;
REVOKE ALL ON FUNCTION reserve FROM PUBLIC;
GRANT EXECUTE ON FUNCTION reserve TO acesteps_signer;

-- Webhooks, and what is to be sent to them. An event is entered in the transaction that makes it true.

CREATE TABLE webhooks (
    id              uuid PRIMARY KEY,
    account_id      uuid NOT NULL REFERENCES accounts (id),
    url             text NOT NULL,
    events          text[] NOT NULL,
    enabled         boolean NOT NULL DEFAULT true,
    -- Secrets are made of this number and the gateway's key; the number before counts for a day after a rotation.
    secret_version  integer NOT NULL DEFAULT 1,
    rotated_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_of ON webhooks (account_id);

CREATE TABLE webhook_deliveries (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    webhook_id       uuid NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event            text NOT NULL,
    -- NULL: a ping
    song_id          uuid,
    state            text NOT NULL DEFAULT 'WAITING' CHECK (state IN ('WAITING', 'DELIVERED', 'FAILED')),
    -- the fence: what came of an attempt is heard from that attempt only
    attempts         integer NOT NULL DEFAULT 0,
    status           integer NOT NULL DEFAULT 0,
    error            text NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL DEFAULT now(),
    last_attempt_at  timestamptz,
    next_attempt_at  timestamptz NOT NULL DEFAULT now(),
    leased_until     timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE state = 'WAITING';
CREATE INDEX webhook_deliveries_of ON webhook_deliveries (webhook_id, created_at DESC, id DESC);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);

CREATE FUNCTION tell_webhooks(account uuid, song uuid, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (webhook_id, event, song_id)
        SELECT id, what, song FROM webhooks WHERE account_id = account AND enabled AND what = ANY (events);
    IF FOUND THEN
        PERFORM pg_notify('gateway_songs', 'WEBHOOK ' || song);
    END IF;
END $$;

CREATE FUNCTION tell_webhooks_of_song() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        RETURN NULL;
    END IF;
    IF NEW.state <> OLD.state AND (NEW.state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')) THEN
        PERFORM tell_webhooks(NEW.account_id, NEW.id, 'SONG_' || NEW.state);
    ELSIF NEW.state = 'RUNNING' AND OLD.state = 'QUEUED' AND NEW.attempt = 1 THEN
        PERFORM tell_webhooks(NEW.account_id, NEW.id, 'SONG_STARTED');
    END IF;
    IF OLD.saved_at IS NULL AND NEW.saved_at IS NOT NULL THEN
        PERFORM tell_webhooks(NEW.account_id, NEW.id, 'SONG_SAVED');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER songs_told AFTER UPDATE OF state, saved_at ON songs FOR EACH ROW
    WHEN (OLD.state <> NEW.state OR OLD.saved_at IS DISTINCT FROM NEW.saved_at)
    EXECUTE FUNCTION tell_webhooks_of_song();

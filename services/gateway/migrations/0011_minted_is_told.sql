-- Webhooks hear of mints: once the chain has confirmed one, and again if it was taken back and came anew.

CREATE FUNCTION tell_webhooks_of_mint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_webhooks(NEW.account_id, NEW.id, 'SONG_MINTED');
    RETURN NULL;
END $$;
CREATE TRIGGER songs_minted_told AFTER UPDATE OF mint_state ON songs FOR EACH ROW
    WHEN (OLD.mint_state <> NEW.mint_state AND NEW.mint_state = 'MINTED' AND NEW.deleted_at IS NULL)
    EXECUTE FUNCTION tell_webhooks_of_mint();

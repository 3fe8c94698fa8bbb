-- Where else a song's files are pinned, and its token as the chain tells of it.

ALTER TABLE songs
    -- the least of what its files have come to at the other places; '': there are none
    ADD pin_state        text NOT NULL DEFAULT ''
                         CHECK (pin_state IN ('', 'FAILED', 'QUEUED', 'PINNING', 'PINNED')),
    -- PENDING: the chain may still take it back
    ADD mint_state       text NOT NULL DEFAULT '' CHECK (mint_state IN ('', 'PENDING', 'MINTED')),
    ADD mint_chain_id    bigint NOT NULL DEFAULT 0,
    ADD mint_contract    text NOT NULL DEFAULT '',
    -- whom it was minted to
    ADD mint_owner       text NOT NULL DEFAULT '',
    ADD mint_transaction bytea,
    ADD mint_block       bigint NOT NULL DEFAULT 0,
    ADD mint_block_hash  bytea,
    ADD mint_log_index   integer NOT NULL DEFAULT 0,
    ADD minted_at        timestamptz;

CREATE INDEX songs_minted ON songs (mint_chain_id, mint_contract, mint_block) WHERE mint_state <> '';

-- How far the events of a contract were read; see minting/watcher.py.
CREATE TABLE chain_watches (
    chain_id      bigint NOT NULL,
    contract      text NOT NULL,
    -- all before it is read and confirmed
    next_block    bigint NOT NULL,
    -- the replica that reads, and until when it may
    holder        uuid,
    leased_until  timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (chain_id, contract)
);

-- Blocks that were read and confirmed, to find out where a chain has changed. So are the blocks of mints.
CREATE TABLE chain_checkpoints (
    chain_id  bigint NOT NULL,
    contract  text NOT NULL,
    number    bigint NOT NULL,
    hash      bytea NOT NULL,
    PRIMARY KEY (chain_id, contract, number)
);

-- What other places than the gateway's own store were asked to pin; see minting/pinning.py.
CREATE TABLE remote_pins (
    cid         text NOT NULL,
    place       text NOT NULL,
    song_id     uuid NOT NULL REFERENCES songs (id),
    -- UNWANTED: to be taken away there
    state       text NOT NULL DEFAULT 'QUEUED'
                CHECK (state IN ('FAILED', 'QUEUED', 'PINNING', 'PINNED', 'UNWANTED')),
    -- under which the place knows it; '': it has not taken it yet
    request_id  text NOT NULL DEFAULT '',
    -- how often it was seen to since something was new
    looks       integer NOT NULL DEFAULT 0,
    message     text NOT NULL DEFAULT '',
    -- when to see to it; infinity: never again
    look_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cid, place)
);
CREATE INDEX remote_pins_due ON remote_pins (look_at) WHERE look_at < 'infinity';
CREATE INDEX remote_pins_of ON remote_pins (song_id);

-- What is deleted is taken away elsewhere too; so is what is withheld (0010), until it is no more.
CREATE FUNCTION pin_elsewhere_alike() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NOT NEW.withheld THEN
        UPDATE remote_pins SET state = 'QUEUED', request_id = '', looks = 0, look_at = now()
        WHERE cid = OLD.cid AND state = 'UNWANTED';
    ELSE
        UPDATE remote_pins SET state = 'UNWANTED', looks = 0, look_at = now() WHERE cid = OLD.cid;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER pins_changed AFTER UPDATE OR DELETE ON pins FOR EACH ROW EXECUTE FUNCTION pin_elsewhere_alike();

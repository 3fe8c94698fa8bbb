-- Accounts and their place in the queue, batches, what people do with their songs, and the list of stored objects.

CREATE TABLE accounts (
    id               uuid PRIMARY KEY,
    -- of GATEWAY_TIERS_FILE; a name that it no longer has counts as its first
    tier             text NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL DEFAULT now(),
    -- Fairness: of two accounts of a tier, the one served longer ago is next.
    last_claimed_at  timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO accounts (id) SELECT DISTINCT account_id FROM songs;

CREATE TABLE batches (
    id              uuid PRIMARY KEY,
    account_id      uuid NOT NULL REFERENCES accounts (id),
    request_id      text,
    request_digest  text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, request_id)
);

ALTER TABLE songs
    ADD FOREIGN KEY (account_id) REFERENCES accounts (id),
    ADD batch_id    uuid REFERENCES batches (id),
    -- the place in the batch
    ADD batch_index integer,
    ADD favourite   boolean NOT NULL DEFAULT false,
    ADD hidden      boolean NOT NULL DEFAULT false,
    ADD share_token text UNIQUE,
    -- The row stays, for the envelope's and the record's sake; its texts are emptied.
    ADD deleted_at  timestamptz,
    ADD CHECK ((batch_id IS NULL) = (batch_index IS NULL));

CREATE INDEX songs_by_batch ON songs (batch_id, batch_index) WHERE batch_id IS NOT NULL;
-- Whose turn it is: the claim looks at the first song of every account that waits.
CREATE INDEX songs_waiting ON songs (account_id, priority DESC, run_at, id) WHERE state = 'QUEUED';
CREATE INDEX songs_running_of ON songs (account_id) WHERE state = 'RUNNING';
CREATE INDEX songs_failed ON songs (ended_at DESC, id DESC) WHERE state = 'FAILED';
-- How fast songs were made lately.
CREATE INDEX songs_succeeded ON songs (ended_at DESC) WHERE state = 'SUCCEEDED';
CREATE INDEX songs_audio ON songs (audio_sha256) WHERE audio_sha256 IS NOT NULL;
CREATE INDEX songs_master ON songs (master_sha256) WHERE master_sha256 IS NOT NULL;
CREATE INDEX songs_state ON songs (state_sha256) WHERE state_sha256 IS NOT NULL;

-- What the object store holds. An object is entered before it is written and taken out when it is gone, so that
-- one that nothing names can be found; see objects.py.
CREATE TABLE objects (
    sha256   bytea PRIMARY KEY,
    -- when to see whether anything names it; infinity: something does
    look_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX objects_to_look_at ON objects (look_at) WHERE look_at < 'infinity';
INSERT INTO objects (sha256)
    SELECT sha256 FROM songs, unnest(ARRAY[audio_sha256, master_sha256, state_sha256]) AS sha256
    WHERE sha256 IS NOT NULL
    UNION SELECT decode(right(object_key, 64), 'hex') FROM pins
    ON CONFLICT DO NOTHING;

-- Every key ends in its hash.
ALTER TABLE pins ADD sha256 bytea GENERATED ALWAYS AS (decode(right(object_key, 64), 'hex')) STORED;
CREATE INDEX pins_by_object ON pins (sha256);

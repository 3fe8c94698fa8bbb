-- The songs, which are also the queue; the audio of songs in the making; what is pinned.

CREATE TABLE songs (
    id                uuid PRIMARY KEY,
    account_id        uuid NOT NULL,
    -- Makes creation idempotent; the digest tells a repeat from another request under the same id.
    request_id        text,
    request_digest    text NOT NULL,

    -- What was asked for. Drawn seeds are drawn at creation: a song that is begun again is the same song.
    prompt            text NOT NULL,
    title             text NOT NULL,
    given_lyrics      text NOT NULL,
    language          text NOT NULL,
    instrumental      boolean NOT NULL,
    duration_s        double precision NOT NULL,
    seed              bigint NOT NULL CHECK (seed BETWEEN 0 AND 4294967295),
    creator_address   text NOT NULL,
    reveal_prompt     boolean NOT NULL,

    -- The queue. `attempt` is the fence: whatever a worker writes carries it.
    state             text NOT NULL DEFAULT 'QUEUED'
                      CHECK (state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    priority          integer NOT NULL DEFAULT 0,
    run_at            timestamptz NOT NULL DEFAULT now(),
    attempt           integer NOT NULL DEFAULT 0,
    failures          integer NOT NULL DEFAULT 0,
    lease_expires_at  timestamptz CHECK ((lease_expires_at IS NULL) = (state <> 'RUNNING')),
    failure_reason    text NOT NULL DEFAULT '',
    failure_message   text NOT NULL DEFAULT '',

    -- What people see of it. `revision` grows with every change of that.
    revision          integer NOT NULL DEFAULT 1,
    stage             text NOT NULL DEFAULT 'queued',
    step              integer NOT NULL DEFAULT 0,
    steps             integer NOT NULL DEFAULT 0,
    eta_s             double precision NOT NULL DEFAULT 0,
    created_at        timestamptz NOT NULL DEFAULT now(),
    started_at        timestamptz,
    first_audio_at    timestamptz,
    ended_at          timestamptz,
    -- Of the stream in the making; '' and 0 while not known.
    media_type        text NOT NULL DEFAULT '',
    stream_bytes      bigint NOT NULL DEFAULT 0,

    -- acesteps.lyrics.v1.LyricDocument
    lyrics            bytea,

    -- The result. Objects are found by their hash.
    engine            text NOT NULL DEFAULT '',
    audio_sha256      bytea,
    audio_cid         text NOT NULL DEFAULT '',
    audio_bytes       bigint NOT NULL DEFAULT 0,
    audio_duration_s  double precision NOT NULL DEFAULT 0,
    pcm_sha256        bytea,
    master_sha256     bytea,
    master_bytes      bigint NOT NULL DEFAULT 0,
    state_sha256      bytea,
    envelope          bytea,
    genre             text NOT NULL DEFAULT '',
    mood              text NOT NULL DEFAULT '',
    tempo_bpm         double precision NOT NULL DEFAULT 0,
    musical_key       text NOT NULL DEFAULT '',
    instruments       text[] NOT NULL DEFAULT '{}',

    -- The save. Metadata is fixed first; the song counts as saved once it has a permit.
    metadata_cid      text NOT NULL DEFAULT '',
    image_cid         text NOT NULL DEFAULT '',
    saved_at          timestamptz,
    permit_format     text NOT NULL DEFAULT '',
    permit_signature  bytea,
    permit_signer     text NOT NULL DEFAULT '',
    permit_deadline   timestamptz,
    chain_id          bigint NOT NULL DEFAULT 0,
    contract          text NOT NULL DEFAULT '',

    UNIQUE (account_id, request_id),
    CHECK (state <> 'SUCCEEDED' OR (audio_sha256 IS NOT NULL AND master_sha256 IS NOT NULL AND envelope IS NOT NULL))
) WITH (fillfactor = 70);  -- progress is written often, and fits on the same page

CREATE INDEX songs_queued ON songs (priority DESC, run_at, id) WHERE state = 'QUEUED';
-- Not on the lease itself: renewing it would then touch the index each time.
CREATE INDEX songs_running ON songs (id) WHERE state = 'RUNNING';
CREATE INDEX songs_listed ON songs (account_id, created_at DESC, id DESC);

-- Live audio of running attempts, for listeners at any replica. A crash of the server empties it, which
-- costs the running attempts and no finished song.
CREATE UNLOGGED TABLE audio_chunks (
    song_id   uuid NOT NULL,
    attempt   integer NOT NULL,
    "offset"  bigint NOT NULL,
    data      bytea NOT NULL,
    PRIMARY KEY (song_id, attempt, "offset")
);
ALTER TABLE audio_chunks ALTER COLUMN data SET STORAGE EXTERNAL;  -- MP3 does not compress

CREATE TABLE pins (
    cid         text PRIMARY KEY,
    object_key  text NOT NULL,
    media_type  text NOT NULL,
    bytes       bigint NOT NULL,
    pinned_at   timestamptz NOT NULL DEFAULT now()
);

-- Payload: what happened, and to which song. Notices only save time; nothing depends on their arrival.
CREATE FUNCTION tell_of_song() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gateway_songs', NEW.state || ' ' || NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER songs_made AFTER INSERT ON songs FOR EACH ROW EXECUTE FUNCTION tell_of_song();
CREATE TRIGGER songs_changed AFTER UPDATE OF revision ON songs FOR EACH ROW
    WHEN (OLD.revision <> NEW.revision) EXECUTE FUNCTION tell_of_song();

CREATE FUNCTION tell_of_audio() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('gateway_songs', 'AUDIO ' || NEW.song_id);
    RETURN NULL;
END $$;
CREATE TRIGGER audio_written AFTER INSERT ON audio_chunks FOR EACH ROW EXECUTE FUNCTION tell_of_audio();

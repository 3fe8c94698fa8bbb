-- Songs made from songs, and how a song is to be sampled.

ALTER TABLE songs
    -- A song's envelope outlives it, and with it the row: whoever was made from it needs the whole chain.
    ADD source_song_id uuid REFERENCES songs (id),
    -- acesteps.music.v1.SongSpec with nothing but its `edit`
    ADD edit bytea,
    -- acesteps.music.v1.Sampling; NULL: as the pod is set
    ADD sampling bytea,
    ADD CHECK ((source_song_id IS NULL) = (edit IS NULL));

CREATE INDEX songs_by_source ON songs (source_song_id) WHERE source_song_id IS NOT NULL;

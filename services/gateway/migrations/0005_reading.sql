-- What the prompt states of the music (a serialised acesteps.music.v1.MusicReading), so that a song that is made
-- again is read as it was. Null: nothing, or a song of an earlier version.

ALTER TABLE songs ADD reading bytea;

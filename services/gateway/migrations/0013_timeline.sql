-- What the engine knew of the song's time: the hash of a stored object, a serialised acesteps.music.v1.Timeline.
-- Null: it knew nothing, or the song is of an earlier version.

ALTER TABLE songs ADD timeline_sha256 bytea;
CREATE INDEX songs_timeline ON songs (timeline_sha256) WHERE timeline_sha256 IS NOT NULL;

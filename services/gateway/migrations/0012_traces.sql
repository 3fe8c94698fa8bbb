-- One trace for a song, whoever works on it and when; and since when it waits, which is a part of that trace.

ALTER TABLE songs
    -- W3C, of the span beneath which all others of the song hang; '' where there is none
    ADD traceparent text NOT NULL DEFAULT '',
    -- when it came into the queue, the last time
    ADD queued_at   timestamptz NOT NULL DEFAULT now();

-- Whatever puts a song back into the queue: another try, a worker that went silent, a person, an older gateway.
CREATE FUNCTION note_queueing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.queued_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER songs_queued_again BEFORE UPDATE OF state ON songs FOR EACH ROW
    WHEN (NEW.state = 'QUEUED' AND OLD.state <> 'QUEUED') EXECUTE FUNCTION note_queueing();

-- Set before the signer is asked for a permit, taken back when it refuses: from then on the song cannot be deleted,
-- since a permit may be out there.

ALTER TABLE songs ADD permit_asked_at timestamptz;
UPDATE songs SET permit_asked_at = saved_at WHERE saved_at IS NOT NULL;

-- One row per permitted recording. Committed before its signature is made: a row without a signature
-- is a promise that asking again fulfils.
CREATE TABLE permits (
    audio_hash   bytea PRIMARY KEY CHECK (octet_length(audio_hash) = 32),
    song_id      text NOT NULL,
    -- identity, with audio_hash; never changes
    recipient    bytea NOT NULL CHECK (octet_length(recipient) = 20),
    metadata_uri text NOT NULL,
    format       text NOT NULL CHECK (format IN ('eip712', 'packed')),
    chain_id     bigint NOT NULL CHECK (chain_id > 0),
    contract     bytea NOT NULL CHECK (octet_length(contract) = 20),
    -- what was signed last, and by which key
    deadline     timestamptz,
    signature    bytea CHECK (octet_length(signature) = 65),
    signer       bytea CHECK (octet_length(signer) = 20),
    permitted_at timestamptz NOT NULL DEFAULT now(),
    signed_at    timestamptz,
    CHECK ((format = 'packed') = (deadline IS NULL)),
    CHECK ((signature IS NULL) = (signer IS NULL)),
    CHECK ((signature IS NULL) = (signed_at IS NULL))
-- room on each page for the update that every row gets at once
) WITH (fillfactor = 50);

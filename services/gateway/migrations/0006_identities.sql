-- Who is who: wallets, sessions, keys, and the credentials of internal services.

ALTER TABLE accounts ADD deleted_at timestamptz;

CREATE TABLE wallets (
    -- EIP-55
    address     text PRIMARY KEY,
    account_id  uuid NOT NULL REFERENCES accounts (id),
    is_default  boolean NOT NULL DEFAULT false,
    linked_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX wallets_of ON wallets (account_id);
CREATE UNIQUE INDEX wallets_default ON wallets (account_id) WHERE is_default;

-- Good once: using one deletes it.
CREATE TABLE nonces (
    nonce       text PRIMARY KEY,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX nonces_by_age ON nonces (expires_at);

-- Of secrets only the SHA-256 is kept.
CREATE TABLE sessions (
    secret_sha256  bytea PRIMARY KEY,
    account_id     uuid NOT NULL REFERENCES accounts (id),
    -- the wallet that signed in
    address        text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL
);
CREATE INDEX sessions_of ON sessions (account_id);
CREATE INDEX sessions_by_age ON sessions (expires_at);

CREATE TABLE api_keys (
    id             uuid PRIMARY KEY,
    account_id     uuid NOT NULL REFERENCES accounts (id),
    name           text NOT NULL,
    scopes         text[] NOT NULL,
    prefix         text NOT NULL,
    secret_sha256  bytea NOT NULL UNIQUE,
    created_at     timestamptz NOT NULL DEFAULT now(),
    last_used_at   timestamptz,
    expires_at     timestamptz,
    revoked_at     timestamptz
);
CREATE INDEX api_keys_of ON api_keys (account_id, created_at) WHERE revoked_at IS NULL;

-- Of the mesh's own callers; made and revoked by an operator.
CREATE TABLE service_credentials (
    id             uuid PRIMARY KEY,
    name           text NOT NULL,
    -- true: may call what is for operators
    operator       boolean NOT NULL,
    secret_sha256  bytea NOT NULL UNIQUE,
    created_at     timestamptz NOT NULL DEFAULT now(),
    revoked_at     timestamptz
);
CREATE UNIQUE INDEX service_credentials_by_name ON service_credentials (name) WHERE revoked_at IS NULL;

-- Songs that the platform's operators have taken down, and what is pinned of them.

ALTER TABLE songs
    ADD taken_down_at   timestamptz,
    ADD takedown_reason text NOT NULL DEFAULT '';

-- Pinned, and not shown to anyone.
ALTER TABLE pins ADD withheld boolean NOT NULL DEFAULT false;

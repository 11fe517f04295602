-- Tokens with which programs ask in the name of a user.

create table core_apitoken (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    name text not null,
    -- The sha256 of the secret, which is kept nowhere.
    digest text not null unique,
    read_only boolean not null default false,
    -- A list of names; null: all that the user has.
    permissions jsonb,
    expires timestamptz,
    last_used timestamptz,
    user_id bigint not null references auth_user (id) on delete cascade,
    unique (user_id, name)
);

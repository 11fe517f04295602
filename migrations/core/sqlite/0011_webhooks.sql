-- Who is told of what happens, and what they were told.

create table core_webhook (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    name text not null,
    url text not null,
    -- Encrypted: what messages are signed with.
    secret text not null,
    -- A list of names of events.
    events text not null,
    repository_id blob references core_repository (pulp_id) on delete cascade,
    label_select text,
    enabled boolean not null default true,
    ca_cert text,
    client_cert text,
    client_key text,
    tls_validation boolean not null default true,
    proxy_url text,
    proxy_username text,
    proxy_password text,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;
create index core_webhook_repository on core_webhook (repository_id) where repository_id is not null;

-- What is to be sent, and what was: written in the transaction of the event itself.
create table core_webhookdelivery (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    event text not null,
    -- Byte for byte what is sent and signed.
    body text not null,
    -- waiting, delivered or failed.
    state text not null default 'waiting',
    attempts bigint not null default 0,
    -- When it is sent next; null when it will not be.
    next_attempt datetime,
    last_attempt datetime,
    -- From then on it is not tried again.
    retry_until datetime not null,
    -- Of the last answer: its status, and how it began.
    status bigint,
    response text,
    error text,
    finished_at datetime,
    webhook_id blob not null references core_webhook (pulp_id) on delete cascade
) without rowid;
create index core_webhookdelivery_due on core_webhookdelivery (webhook_id, next_attempt) where state = 'waiting';
create index core_webhookdelivery_webhook on core_webhookdelivery (webhook_id, pulp_id);
create index core_webhookdelivery_created on core_webhookdelivery (pulp_created);

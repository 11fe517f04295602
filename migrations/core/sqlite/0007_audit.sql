-- Who changed what, and when. Rows are added and, after the time for which they are kept, removed; none is changed.

create table core_auditrecord (
    pulp_id blob primary key,
    pulp_created datetime not null,
    -- No reference: what somebody did stays on record when they are gone.
    user_id bigint not null,
    username text not null,
    authentication text not null,
    token_id blob,
    remote_address text,
    forwarded_for text,
    correlation_id text not null,
    method text not null,
    operation text not null,
    path text not null,
    object text,
    -- Null: the client did not wait for the answer.
    status bigint,
    task text
) without rowid;
create index core_auditrecord_created on core_auditrecord (pulp_created);
create index core_auditrecord_username on core_auditrecord (username, pulp_id);
create index core_auditrecord_object on core_auditrecord (object, pulp_id) where object is not null;

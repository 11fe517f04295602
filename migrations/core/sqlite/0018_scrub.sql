-- How far the scrub has come with the stored files of all domains: one row. Files are looked at in the order in which they came, so that
-- nothing need be noted of each.
create table core_scrub (
    id integer primary key,
    -- The artifact that was looked at last.
    reached blob,
    started_at datetime,
    finished_at datetime,
    -- This pass looks at what was stored before.
    covers datetime,
    files bigint not null default 0,
    bytes bigint not null default 0,
    -- How many tasks were dispatched for it by themselves, and the last of them.
    turns bigint not null default 0,
    task_id blob
);
insert into core_scrub (id) values (1);

-- A stored file that was not what it should be.
create table core_scrubfinding (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    -- missing, size, digest or unreadable.
    problem text not null,
    -- lost, repaired (fetched again), restored (somebody brought it again) or dropped (nothing needs it any more).
    state text not null,
    file text not null,
    sha256 text not null,
    size bigint not null,
    found_size bigint,
    found_sha256 text,
    -- Where the wrong file lies now, in the same storage.
    quarantined text,
    ended_at datetime,
    artifact_id blob not null,
    pulp_domain_id blob not null references core_domain (pulp_id) on delete cascade
) without rowid;
create unique index core_scrubfinding_lost on core_scrubfinding (artifact_id) where state = 'lost';
create index core_scrubfinding_domain on core_scrubfinding (pulp_domain_id, pulp_id);

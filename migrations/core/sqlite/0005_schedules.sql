-- Tasks that are dispatched again and again, and what a task’s diagnostics have recorded.

create table core_taskschedule (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    name text not null,
    next_dispatch datetime,
    -- Microseconds; null: once.
    dispatch_interval bigint,
    task_name text not null,
    task_args text not null default '[]',
    task_kwargs text not null default '{}',
    last_task_id blob references core_task (pulp_id) on delete set null,
    pulp_domain_id blob not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
) without rowid;
create index core_taskschedule_next on core_taskschedule (next_dispatch) where next_dispatch is not null;
create index core_taskschedule_last on core_taskschedule (last_task_id) where last_task_id is not null;

create table core_profileartifact (
    pulp_id blob primary key,
    pulp_created datetime not null,
    pulp_last_updated datetime,
    name text not null,
    artifact_id blob not null references core_artifact (pulp_id) on delete cascade,
    task_id blob not null references core_task (pulp_id) on delete cascade,
    unique (task_id, name)
) without rowid;
create index core_profileartifact_artifact on core_profileartifact (artifact_id);

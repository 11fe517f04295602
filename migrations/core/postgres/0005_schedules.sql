-- Tasks that are dispatched again and again, and what a task’s diagnostics have recorded.

create table core_taskschedule (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    name text not null,
    next_dispatch timestamptz,
    -- Microseconds; null: once.
    dispatch_interval bigint,
    task_name text not null,
    task_args jsonb not null default '[]',
    task_kwargs jsonb not null default '{}',
    last_task_id uuid references core_task (pulp_id) on delete set null,
    pulp_domain_id uuid not null references core_domain (pulp_id),
    unique (name, pulp_domain_id)
);
create index core_taskschedule_next on core_taskschedule (next_dispatch) where next_dispatch is not null;
create index core_taskschedule_last on core_taskschedule (last_task_id) where last_task_id is not null;

create table core_profileartifact (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    pulp_last_updated timestamptz,
    name text not null,
    artifact_id uuid not null references core_artifact (pulp_id) on delete cascade,
    task_id uuid not null references core_task (pulp_id) on delete cascade,
    unique (task_id, name)
);
create index core_profileartifact_artifact on core_profileartifact (artifact_id);

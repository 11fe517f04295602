-- What a running task has to say beside its progress.
create table core_tasklogline (
    pulp_id uuid primary key,
    pulp_created timestamptz not null,
    level text not null,
    message text not null,
    task_id uuid not null references core_task (pulp_id) on delete cascade
);
create index core_tasklogline_task on core_tasklogline (task_id, pulp_created);

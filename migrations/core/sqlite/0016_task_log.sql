-- What a running task has to say beside its progress.
create table core_tasklogline (
    pulp_id blob primary key,
    pulp_created datetime not null,
    level text not null,
    message text not null,
    task_id blob not null references core_task (pulp_id) on delete cascade
) without rowid;
create index core_tasklogline_task on core_tasklogline (task_id, pulp_created);

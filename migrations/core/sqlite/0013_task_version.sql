-- Which version of its kind a task is: a worker takes none that is later than what it knows.
alter table core_task add column task_version bigint not null default 1;
alter table core_taskschedule add column task_version bigint not null default 1;

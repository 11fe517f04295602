-- Schedules of users: repositories that are synced again and again. Those of the server have no repository.

alter table core_taskschedule add column repository_id blob references core_repository (pulp_id) on delete cascade;
-- Whoever made or last changed it: it runs in their name.
alter table core_taskschedule add column user_id bigint references auth_user (id) on delete set null;
-- What the repository's sync takes.
alter table core_taskschedule add column options text not null default '{}';
-- Five fields, in UTC; null: by the interval.
alter table core_taskschedule add column cron text;
-- Seconds.
alter table core_taskschedule add column jitter bigint not null default 0;
-- The next turn without its jitter.
alter table core_taskschedule add column turn datetime;
alter table core_taskschedule add column enabled boolean not null default true;
alter table core_taskschedule add column last_error text;
create index core_taskschedule_repository on core_taskschedule (repository_id) where repository_id is not null;
create index core_taskschedule_user on core_taskschedule (user_id) where user_id is not null;

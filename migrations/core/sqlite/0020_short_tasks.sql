-- The short tasks that may start: mostly none, while thousands of others may wait.
create index core_task_short on core_task (sequence) where state = 'waiting' and unblocked_at is not null and immediate;
create index core_task_short_domain on core_task (pulp_domain_id, sequence) where state = 'waiting' and unblocked_at is not null and immediate;
